//! `id::` — names for new things, out of time and chance, and kept in the journal.

use rhai::plugin::*;

use crate::effect::Declaration;
use crate::id::RunId;
use crate::script::{ContextExt, ScriptResult};
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

static ULID: Declaration = Declaration::local("id.ulid");
static UUID: Declaration = Declaration::local("id.uuid");

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns a new id of 26 letters and digits that sorts by the moment it was made, as the ids of runs do.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// store::put("clips", id::ulid(), #{ state: "new" });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn ulid(ctx: NativeCallContext) -> ScriptResult {
        ctx.local(&ULID, Value::Unit, |local| {
            Ok(RunId::new(local.tx.now_ms, local.chance.wide_bits()).to_string().into())
        })
    }

    /// Returns a new random UUID (version 4), for services that ask for one.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// let reference = id::uuid();
    /// ```
    #[rhai_fn(return_raw)]
    pub fn uuid(ctx: NativeCallContext) -> ScriptResult {
        ctx.local(&UUID, Value::Unit, |local| Ok(uuid_of(local.chance.wide_bits()).into()))
    }
}

/// A UUID of version 4 and variant 1 (RFC 9562), with chance in its other 122 bits.
fn uuid_of(chance: u128) -> String {
    let bits = chance & !(0xf << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let digits = format!("{bits:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestHost;

    #[test]
    fn a_uuid_says_its_version_and_variant_whatever_chance_says() {
        assert_eq!(uuid_of(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid_of(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn ids_are_new_each_time_and_the_same_in_a_replay() {
        let host = TestHost::default();
        let run = host.run("[id::ulid(), id::ulid(), id::uuid()]");
        let ids: Vec<&str> = run
            .value()
            .as_list()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert!(ids[0] != ids[1] && ids[0][..10] == ids[1][..10], "{ids:?}");
        assert_eq!((ids[0].len(), ids[2].len()), (26, 36));
        assert_eq!(host.replay(run.id()).outcome.value, *run.value());
    }
}
