//! What `list::` does with a script's own values.

use std::collections::{HashMap, HashSet};

use rhai::{Array, Dynamic, Map};

use super::{ITEMS_MAX, invalid};
use crate::effect::Failure;
use crate::namespaces::options::Options;
use crate::script::value::from_dynamic;
use crate::store::documents::{FieldPath, Grouping};
use crate::store::order::encode;
use crate::value::Value;

/// The most fields to sort by.
const ORDER_MAX: usize = 8;

/// Some fields of items.
pub(super) struct Fields<'a> {
    paths: Vec<Vec<&'a str>>,
    items: &'a Array,
}

impl<'a> Fields<'a> {
    pub(super) fn new(paths: impl Iterator<Item = &'a FieldPath>, items: &'a Array) -> Result<Fields<'a>, Failure> {
        if items.len() > ITEMS_MAX {
            let found = items.len();
            return Err(bad(format!("there are {found} items; at most {ITEMS_MAX} are allowed")));
        }
        Ok(Fields {
            paths: paths.map(|path| path.as_str().split('.').collect()).collect(),
            items,
        })
    }

    /// The fields of the item at `at`, `None` where a path leads nowhere.
    pub(super) fn find(&self, at: usize) -> Result<Vec<Option<Value>>, Failure> {
        let item = &self.items[at];
        if item.read_lock::<Map>().is_none() {
            let kind = match from_dynamic(item) {
                Ok(value) => value.kind(),
                Err(_) => item.type_name(),
            };
            return Err(bad(format!("the item {at} is {kind}, not a map")));
        }
        let found = |path: &Vec<&str>| match look_up(item, path) {
            None => Ok(None),
            Some(found) => from_dynamic(&found)
                .map(Some)
                .map_err(|error| Failure::new(error.code(), format!("the item {at}: {error}"))),
        };
        self.paths.iter().map(found).collect()
    }

    /// The first field of each item, as it sorts; missing ones count as `()`.
    fn keys(&self) -> Result<Vec<Vec<u8>>, Failure> {
        let key = |at| {
            let found = self.find(at)?.into_iter().next().flatten();
            Ok(encode(&found.unwrap_or_default()))
        };
        (0..self.items.len()).map(key).collect()
    }
}

fn look_up(item: &Dynamic, path: &[&str]) -> Option<Dynamic> {
    let (first, rest) = path.split_first()?;
    let map = item.read_lock::<Map>()?;
    let found = map.get(*first)?;
    if rest.is_empty() {
        Some(found.clone())
    } else {
        look_up(found, rest)
    }
}

fn bad(message: String) -> Failure {
    Failure::new("LIST_INVALID", message)
}

fn parse(path: &str) -> Result<FieldPath, Failure> {
    FieldPath::parse(path).map_err(invalid)
}

pub(super) fn sort(items: Array, order: &[String]) -> Result<Array, Failure> {
    if order.is_empty() || order.len() > ORDER_MAX {
        let found = order.len();
        return Err(bad(format!("{found} fields to sort by; 1 to {ORDER_MAX} are allowed")));
    }
    let mut places: Vec<usize> = (0..items.len()).collect();
    // From the last to the first: each sort keeps the order of equals.
    for by in order.iter().rev() {
        let (descending, by) = by.strip_prefix('-').map_or((false, by.as_str()), |by| (true, by));
        let path = parse(by)?;
        let keys = Fields::new(std::iter::once(&path), &items)?.keys()?;
        places.sort_by(|a, b| {
            let ordering = keys[*a].cmp(&keys[*b]);
            if descending { ordering.reverse() } else { ordering }
        });
    }
    let mut items: Vec<Option<Dynamic>> = items.into_iter().map(Some).collect();
    Ok(places.into_iter().filter_map(|place| items[place].take()).collect())
}

pub(super) fn group(items: &Array, grouping: &Grouping) -> Result<Value, Failure> {
    let fields = Fields::new(grouping.paths(), items)?;
    let mut groups = grouping.begin();
    for at in 0..items.len() {
        let found = fields.find(at)?;
        groups
            .add_found(&found, &|| format!("the item {at}"))
            .map_err(invalid)?;
    }
    groups.end().map(Value::List).map_err(invalid)
}

pub(super) fn join(left: Array, right: &Array, mut options: Options) -> Result<Array, Failure> {
    let on = options.string("on")?;
    let on = on.ok_or_else(|| options.missing("on", "the field of an item of the left array"))?;
    let into = options.string("into")?;
    let into = into.ok_or_else(|| options.missing("into", "the name of the field that holds the right item"))?;
    let key = options.string("key")?.unwrap_or_else(|| on.clone());
    let found_only = options
        .choice("keep", &[("all", false), ("found", true)])?
        .unwrap_or(false);
    let many = options.bool("many")?.unwrap_or(false);
    options.finish()?;
    let (on, key) = (parse(&on)?, parse(&key)?);
    let mut partners: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for (at, key) in Fields::new(std::iter::once(&key), right)?
        .keys()?
        .into_iter()
        .enumerate()
    {
        partners.entry(key).or_default().push(at);
    }
    let keys = Fields::new(std::iter::once(&on), &left)?.keys()?;
    let nothing = encode(&Value::Unit);
    let mut joined = Array::new();
    for (item, key) in left.into_iter().zip(keys) {
        // What names nothing is joined with nothing, not with everything that has no such field.
        let found = partners.get(&key).filter(|_| key != nothing);
        let found = found.map_or(&[][..], Vec::as_slice);
        if found_only && found.is_empty() {
            continue;
        }
        let value = if many {
            Dynamic::from_array(found.iter().map(|at| right[*at].clone()).collect())
        } else {
            found.first().map_or(Dynamic::UNIT, |at| right[*at].clone())
        };
        let mut item = item.flatten().cast::<Map>();
        item.insert(into.as_str().into(), value);
        joined.push(item.into());
    }
    Ok(joined)
}

pub(super) fn unique(items: Array, field: &str) -> Result<Array, Failure> {
    let path = parse(field)?;
    let keys = Fields::new(std::iter::once(&path), &items)?.keys()?;
    let mut seen = HashSet::new();
    let is_new = keys.into_iter().map(|key| seen.insert(key)).collect::<Vec<_>>();
    let kept = items.into_iter().zip(is_new).filter(|(_, is_new)| *is_new);
    Ok(kept.map(|(item, _)| item).collect())
}

pub(super) fn index(items: Array, field: &str) -> Result<Map, Failure> {
    let path = parse(field)?;
    let fields = Fields::new(std::iter::once(&path), &items)?;
    let mut names = Vec::with_capacity(items.len());
    for at in 0..items.len() {
        let found = fields.find(at)?.into_iter().next().flatten().unwrap_or_default();
        names.push(match found {
            Value::Text(text) => text,
            Value::Int(number) => number.to_string(),
            other => {
                let kind = other.kind();
                return Err(bad(format!(
                    "{field:?} of the item {at} is {kind}; a string or a whole number is expected"
                )));
            }
        });
    }
    Ok(names.into_iter().map(Into::into).zip(items).collect())
}
