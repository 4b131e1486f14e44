//! JSON Patch (RFC 6902), held to the sizes of values. Pure.
//!
//! A few `copy`s double a value again and again, and one into itself nests it, so both are reckoned before each one.

use json_patch::PatchOperation;
use serde_json::Value as Json;

use crate::effect::Failure;
use crate::script::value::VALUE_BYTES_MAX;
use crate::value::{Map, VALUE_DEPTH_MAX, Value};

/// The most operations of one patch.
const OPERATIONS_MAX: usize = 1_000;
/// The most operations that a comparison gives.
const CHANGES_MAX: usize = 10_000;

/// `json` changed by a patch, whole or not at all.
pub fn apply(mut json: Json, operations: Json) -> Result<Value, Failure> {
    let invalid = |message: String| Failure::new("JSON_PATCH_INVALID", message);
    let given = operations.as_array().map_or(0, Vec::len);
    if given > OPERATIONS_MAX {
        return Err(invalid(format!(
            "the patch has {given} operations; at most {OPERATIONS_MAX} are allowed; apply it in parts"
        )));
    }
    let mut bytes = size(&json);
    for (index, operation) in operations.as_array().into_iter().flatten().enumerate() {
        let operation: PatchOperation = serde_json::from_value(operation.clone())
            .map_err(|error| invalid(format!("operation {index} is none: {error}")))?;
        let (path, added) = match &operation {
            PatchOperation::Add(add) => (add.path.as_ptr(), Some(&add.value)),
            PatchOperation::Replace(replace) => (replace.path.as_ptr(), Some(&replace.value)),
            PatchOperation::Copy(copy) => (copy.path.as_ptr(), json.pointer(copy.from.as_str())),
            PatchOperation::Move(moved) => (moved.path.as_ptr(), json.pointer(moved.from.as_str())),
            PatchOperation::Remove(_) | PatchOperation::Test(_) => (operation.path(), None),
        };
        if let Some(added) = added {
            bytes += size(added);
            if bytes > VALUE_BYTES_MAX {
                let message = format!("operation {index} lets the value grow beyond {VALUE_BYTES_MAX} bytes");
                return Err(Failure::new("VALUE_TOO_LARGE", message));
            }
            if path.tokens().count() + depth(added) > VALUE_DEPTH_MAX {
                let message = format!("operation {index} nests the value more than {VALUE_DEPTH_MAX} levels deep");
                return Err(Failure::new("VALUE_TOO_DEEP", message));
            }
        }
        json_patch::patch_unsafe(&mut json, std::slice::from_ref(&operation)).map_err(|error| {
            let message = format!("operation {index} at {:?}: {}", operation.path().as_str(), error.kind);
            Failure::new("JSON_PATCH_FAILED", message)
        })?;
    }
    Ok(Value::from_json(json))
}

/// What makes `new` out of `old`.
pub fn diff(old: &Json, new: &Json) -> Result<Value, Failure> {
    let mut operations = Vec::new();
    compare(old, new, &mut String::new(), &mut operations);
    if operations.len() > CHANGES_MAX {
        let message = format!(
            "the two differ in {} places; at most {CHANGES_MAX} are given; compare them in parts",
            operations.len()
        );
        return Err(Failure::new("JSON_PATCH_INVALID", message));
    }
    Ok(Value::List(operations))
}

fn compare(old: &Json, new: &Json, path: &mut String, operations: &mut Vec<Value>) {
    let length = path.len();
    match (old, new) {
        _ if old == new => {}
        (Json::Object(old), Json::Object(new)) => {
            for name in old.keys().filter(|name| !new.contains_key(*name)) {
                operations.push(operation("remove", path, name, None));
            }
            for (name, value) in new {
                let Some(before) = old.get(name) else {
                    operations.push(operation("add", path, name, Some(value)));
                    continue;
                };
                path.push_str(&pointer_token(name));
                compare(before, value, path, operations);
                path.truncate(length);
            }
        }
        (Json::Array(old), Json::Array(new)) => {
            // What is the same at both ends stays, so that one item more is one operation.
            let begin = old.iter().zip(new).take_while(|(old, new)| old == new).count();
            let (old, new) = (&old[begin..], &new[begin..]);
            let end = old
                .iter()
                .rev()
                .zip(new.iter().rev())
                .take_while(|(old, new)| old == new)
                .count();
            let (old, new) = (&old[..old.len() - end], &new[..new.len() - end]);
            for (at, (before, value)) in old.iter().zip(new).enumerate() {
                path.push_str(&format!("/{}", begin + at));
                compare(before, value, path, operations);
                path.truncate(length);
            }
            let both = old.len().min(new.len());
            let place = |at: usize| (begin + at).to_string();
            operations.extend(
                (both..old.len())
                    .rev()
                    .map(|at| operation("remove", path, &place(at), None)),
            );
            operations.extend((both..new.len()).map(|at| operation("add", path, &place(at), Some(&new[at]))));
        }
        _ => operations.push(Value::from([
            ("op", "replace".into()),
            ("path", path.as_str().into()),
            ("value", Value::from_json(new.clone())),
        ])),
    }
}

fn operation(op: &str, path: &str, name: &str, value: Option<&Json>) -> Value {
    let mut fields = Map::from([
        ("op".to_owned(), op.into()),
        ("path".to_owned(), format!("{path}{}", pointer_token(name)).into()),
    ]);
    if let Some(value) = value {
        fields.insert("value".to_owned(), Value::from_json(value.clone()));
    }
    Value::Map(fields)
}

/// A name as a part of a JSON pointer (RFC 6901).
fn pointer_token(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// About how many bytes a value has.
fn size(json: &Json) -> usize {
    size_of::<Json>()
        + match json {
            Json::String(text) => text.len(),
            Json::Array(items) => items.iter().map(size).sum(),
            Json::Object(fields) => fields.iter().map(|(name, value)| name.len() + size(value)).sum(),
            _ => 0,
        }
}

/// How many levels a value nests.
pub fn depth(json: &Json) -> usize {
    match json {
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Json::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn applied(value: Json, operations: Json) -> Result<String, String> {
        apply(value, operations)
            .map(|value| value.to_string())
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn operations_are_carried_out_in_order_or_refused_by_number() {
        let value = json!({"a": [1, 2], "b": {"c": 1}});
        let operations = json!([
            {"op": "test", "path": "/a/0", "value": 1},
            {"op": "move", "from": "/b/c", "path": "/a/-"},
            {"op": "copy", "from": "/a", "path": "/d"},
            {"op": "replace", "path": "/b", "value": null},
        ]);
        assert_eq!(
            applied(value.clone(), operations).as_deref(),
            Ok(r#"{"a":[1,2,1],"b":null,"d":[1,2,1]}"#)
        );
        let refused = |operation: Json| {
            applied(
                value.clone(),
                json!([{"op": "test", "path": "", "value": value}, operation]),
            )
            .expect_err("refused")
        };
        assert_eq!(
            refused(json!({"op": "remove", "path": "/x"})),
            "JSON_PATCH_FAILED: operation 1 at \"/x\": path is invalid"
        );
        assert!(refused(json!({"op": "test", "path": "/a/0", "value": 2})).starts_with("JSON_PATCH_FAILED"));
        assert!(refused(json!({"op": "grow", "path": "/a"})).starts_with("JSON_PATCH_INVALID: operation 1 is none"));
        assert!(refused(json!({"op": "add", "path": "a", "value": 1})).starts_with("JSON_PATCH_INVALID"));
    }

    #[test]
    fn one_item_more_in_an_array_is_one_operation() {
        let changes = diff(&json!({"a": [1, 2, 3]}), &json!({"a": [1, 9, 2, 3], "b/c": 1})).expect("few");
        assert_eq!(
            changes.to_string(),
            r#"[{"op":"add","path":"/a/1","value":9},{"op":"add","path":"/b~1c","value":1}]"#
        );
        let many: Vec<usize> = (0..=CHANGES_MAX).collect();
        assert!(
            diff(&json!([]), &json!(many))
                .expect_err("refused")
                .message
                .contains("10001 places")
        );
    }

    #[test]
    fn a_patch_that_grows_or_nests_a_value_without_end_is_stopped() {
        let double = json!({"op": "copy", "from": "", "path": "/a"});
        let doubling = vec![double; 100];
        assert!(
            applied(json!({"a": "xxxxxxxx"}), json!(doubling))
                .expect_err("refused")
                .starts_with("VALUE_TOO_")
        );
        let add = json!({"op": "copy", "from": "/a", "path": "/b/-"});
        let adding = vec![add; 1000];
        let long = json!({"a": "x".repeat(100_000), "b": []});
        assert!(
            applied(long, json!(adding))
                .expect_err("refused")
                .starts_with("VALUE_TOO_LARGE: operation 8")
        );
        let many = vec![json!({"op": "test", "path": "", "value": 1}); 1001];
        assert!(
            applied(json!(1), json!(many))
                .expect_err("refused")
                .contains("1001 operations")
        );
    }

    fn data() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            (0_i64..4).prop_map(Json::from),
            "[a~/]{0,2}".prop_map(Json::from)
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                proptest::collection::btree_map("[ab~/]{0,2}", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect::<Json>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_compared_is_patched_into_the_other(old in data(), new in data()) {
            let changes = diff(&old, &new).expect("few").to_json();
            prop_assert_eq!(apply(old.clone(), changes.clone()).expect("it fits"), Value::from_json(new.clone()));
            prop_assert_eq!(changes == json!([]), old == new);
        }
    }
}
