//! What is asked next after a redirect.
//!
//! Pure; whether the new URL may be asked is checked where it is sent. Follows the Fetch standard: 307 and 308 keep
//! method and body, 303 asks with GET, and so do 301 and 302 after a POST.

use url::Url;

use super::body::Body;
use super::fault::HttpFault;
use super::request::{Method, Request};

/// Whether an answer of this status asks to go elsewhere, if it says where.
pub fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// The request that `location`, in an answer of `status` to `request`, asks for.
pub fn next(mut request: Request, status: u16, location: &str) -> Result<Request, HttpFault> {
    let origin = request.url.origin();
    let refuse = |reason| HttpFault::Redirect {
        origin: origin.ascii_serialization(),
        reason,
    };
    let target: Url = request
        .url
        .join(location)
        .map_err(|error| refuse(format!("its target is no URL ({error})")))?;
    if request.url.scheme() == "https" && target.scheme() == "http" {
        return Err(refuse("it leads from https to http".to_owned()));
    }

    let asks_anew = match status {
        303 => !matches!(request.method, Method::Get | Method::Head),
        301 | 302 => request.method == Method::Post,
        _ => false,
    };
    if asks_anew {
        request.method = Method::Get;
        request.body = Body::default();
        request
            .headers
            .retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
    }
    if target.origin() != origin {
        let (kept, _) = std::mem::take(&mut request.headers)
            .into_iter()
            .partition(|(name, _)| !request.is_secret(name));
        request.headers = kept;
    }
    request.url = target;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method) -> Request {
        Request::new(method, Url::parse("https://a.example/from?x=1").expect("a URL"))
            .header("Content-Type", "text/plain")
            .header("Accept", "*/*")
            .header("Authorization", "Bearer key")
            .header("Cookie", "id=1")
            .secret_header("X-Token", "key")
            .body("hello")
    }

    fn names(request: &Request) -> Vec<&str> {
        request.headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn the_status_decides_whether_method_and_body_are_kept() {
        use Method::*;
        for (status, method, expected) in [
            (301, Post, Get),
            (302, Post, Get),
            (303, Post, Get),
            (303, Put, Get),
            (303, Head, Head),
            (301, Put, Put),
            (302, Delete, Delete),
            (301, Head, Head),
            (307, Post, Post),
            (308, Post, Post),
            (308, Patch, Patch),
        ] {
            let next = next(request(method), status, "/to").expect("a redirect");
            assert_eq!(next.method, expected, "{status} after {method}");
            assert_eq!(next.body.is_empty(), expected != method, "{status} after {method}");
            assert_eq!(
                names(&next).contains(&"Content-Type"),
                expected == method,
                "{status} after {method}"
            );
            assert_eq!(next.url.as_str(), "https://a.example/to");
        }
    }

    #[test]
    fn another_origin_is_told_no_secret() {
        for target in [
            "https://b.example/",
            "https://a.example:8443/",
            "//b.example/",
            "https://sub.a.example/",
        ] {
            let next = next(request(Method::Post), 307, target).expect("a redirect");
            assert_eq!(names(&next), ["Content-Type", "Accept"], "{target}");
        }
        let same = next(request(Method::Post), 307, "https://A.example:443/to").expect("a redirect");
        assert_eq!(
            names(&same),
            ["Content-Type", "Accept", "Authorization", "Cookie", "X-Token"]
        );
    }

    #[test]
    fn a_redirect_to_plain_http_or_to_nowhere_is_refused() {
        for target in ["http://a.example/", "https://", "https://[::1"] {
            let fault = next(request(Method::Get), 302, target).expect_err(target);
            assert_eq!(fault.code(), "HTTP_REDIRECT", "{target}");
        }
    }
}
