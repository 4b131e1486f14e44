//! What refusals of identity and the audit log are to somebody who asks over HTTP.

use serde_json::json;

use super::answer::Refusal;
use crate::identity::{Denied, IdentityError};
use crate::journal::audit::AuditError;

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Refusal {
        let (code, message) = (denied.code(), denied.to_string());
        let retry_after = denied.retry_after_seconds();
        let status = match &denied {
            Denied::Unauthenticated
            | Denied::LoginFailed
            | Denied::SessionExpired
            | Denied::TokenExpired { .. }
            | Denied::TokenRevoked { .. } => 401,
            Denied::Role { .. } | Denied::Scope { .. } | Denied::Playbook { .. } | Denied::Csrf(_) | Denied::Held => {
                403
            }
            Denied::LoginLocked { .. } | Denied::RateLimited { .. } => 429,
            Denied::LoginBusy => 503,
            Denied::Store(_) => 500,
        };
        let mut refusal = match denied {
            Denied::Store(error) => return error.into(),
            Denied::Role { has, needs } => {
                Refusal::new(status, code, message).details(json!({ "role": has, "needed": needs }))
            }
            Denied::Scope { scope, role } => {
                Refusal::new(status, code, message).details(json!({ "scope": scope, "needed": role }))
            }
            Denied::RateLimited { limit_type, .. } => Refusal::new(status, code, message)
                .details(json!({ "limit_type": limit_type, "retry_after": retry_after })),
            Denied::LoginLocked { .. } => {
                Refusal::new(status, code, message).details(json!({ "retry_after": retry_after }))
            }
            _ => Refusal::new(status, code, message),
        };
        if let Some(seconds) = retry_after {
            refusal = refusal.header("retry-after", seconds.to_string());
        }
        match status {
            401 => refusal.header("www-authenticate", "Bearer realm=\"host\""),
            _ => refusal,
        }
    }
}

impl From<IdentityError> for Refusal {
    fn from(error: IdentityError) -> Refusal {
        let (code, message) = (error.code(), error.to_string());
        match error {
            IdentityError::Store(error) => error.into(),
            IdentityError::NotFound { .. } => Refusal::new(404, code, message),
            IdentityError::Exists { .. }
            | IdentityError::UserRevoked(_)
            | IdentityError::LastAdmin(_)
            | IdentityError::Full { .. } => Refusal::new(409, code, message),
            IdentityError::Busy => Refusal::new(503, code, message).header("retry-after", "1"),
            IdentityError::Name { .. } | IdentityError::Password(_) | IdentityError::Token(_) => {
                Refusal::new(422, code, message)
            }
        }
    }
}

impl From<AuditError> for Refusal {
    fn from(error: AuditError) -> Refusal {
        match error {
            AuditError::Store(error) => error.into(),
            AuditError::Kept { .. } => Refusal::new(422, error.code(), error.to_string()),
            AuditError::Form(_) => {
                tracing::error!(%error, "the audit log cannot be read");
                Refusal::new(500, error.code(), "the audit log is not as it was written")
            }
        }
    }
}
