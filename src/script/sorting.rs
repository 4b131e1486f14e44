//! Sorting, in an order that is the same in every build, and with errors that end it.
//!
//! Rhai's own functions dropped the errors of their closures, and left the order to the standard library, which promises
//! neither its questions nor, for a comparer that contradicts itself, its answer. Numbers that are none (NaN) stand
//! behind all others. An array whose sorting fails is left as it was.

use rhai::{Array, Dynamic, EvalAltResult, FnPtr, Module, NativeCallContext};

type Fallible<T> = Result<T, Box<EvalAltResult>>;

pub(super) fn set(module: &mut Module) {
    for name in ["sort", "sort_by"] {
        rhai::FuncRegistration::new(name)
            .set_into_module(module, |ctx: NativeCallContext, array: &mut Array, comparer: FnPtr| {
                sort_by(array, &mut asked(&ctx, &comparer))
            });
    }
    for name in ["order", "order_by"] {
        rhai::FuncRegistration::new(name)
            .set_into_module(module, |ctx: NativeCallContext, array: &mut Array, comparer: FnPtr| {
                ordered(array, &mut asked(&ctx, &comparer))
            });
    }
    // Rhai also takes closures by name, for the sake of old scripts.
    rhai::FuncRegistration::new("sort").set_into_module(
        module,
        |ctx: NativeCallContext, array: &mut Array, comparer: &str| {
            sort_by(array, &mut asked(&ctx, &FnPtr::new(comparer)?))
        },
    );
    rhai::FuncRegistration::new("dedup")
        .set_into_module(module, |ctx: NativeCallContext, array: &mut Array, is_same: &str| {
            dedup(ctx, array, FnPtr::new(is_same)?)
        });
    rhai::FuncRegistration::new("sort").set_into_module(module, |array: &mut Array| sort_by(array, &mut ascending));
    rhai::FuncRegistration::new("sort_desc")
        .set_into_module(module, |array: &mut Array| sort_by(array, &mut descending));
    rhai::FuncRegistration::new("order").set_into_module(module, |array: &mut Array| ordered(array, &mut ascending));
    rhai::FuncRegistration::new("order_desc")
        .set_into_module(module, |array: &mut Array| ordered(array, &mut descending));
    rhai::FuncRegistration::new("dedup").set_into_module(module, dedup);
}

/// Whether the first of two items may stand before the second.
type InOrder<'a> = dyn FnMut(&Dynamic, &Dynamic) -> Fallible<bool> + 'a;

/// The order that a script's closure gives: a number above 0 or `false` puts the first behind the second.
fn asked(ctx: &NativeCallContext, comparer: &FnPtr) -> impl FnMut(&Dynamic, &Dynamic) -> Fallible<bool> {
    |a, b| {
        let order = comparer.call_raw(ctx, None, [a.clone(), b.clone()])?;
        match (order.as_int(), order.as_bool()) {
            (Ok(order), _) => Ok(order <= 0),
            (_, Ok(is_less)) => Ok(is_less),
            _ => Err(mismatch("an int or a bool from the closure that compares", &order)),
        }
    }
}

fn ascending(a: &Dynamic, b: &Dynamic) -> Fallible<bool> {
    if let (Ok(a), Ok(b)) = (a.as_int(), b.as_int()) {
        return Ok(a <= b);
    }
    if let (Ok(a), Ok(b)) = (a.as_float(), b.as_float()) {
        return Ok(match (a.is_nan(), b.is_nan()) {
            (false, false) => a <= b,
            (a_is_none, b_is_none) => a_is_none <= b_is_none,
        });
    }
    if let (Ok(a), Ok(b)) = (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        return Ok(*a <= *b);
    }
    if let (Ok(a), Ok(b)) = (a.as_char(), b.as_char()) {
        return Ok(a <= b);
    }
    if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
        return Ok(a <= b);
    }
    if a.is_unit() && b.is_unit() {
        return Ok(true);
    }
    let (a, b) = (a.type_name(), b.type_name());
    let message = if a == b {
        format!("an array of {a} has no order of its own; give `sort` a closure that compares")
    } else {
        format!("{a} and {b} have no order among each other; give `sort` a closure that compares")
    };
    Err(message.into())
}

fn descending(a: &Dynamic, b: &Dynamic) -> Fallible<bool> {
    ascending(b, a)
}

fn ordered(array: &Array, in_order: &mut InOrder<'_>) -> Fallible<Array> {
    let mut copy = array.clone();
    sort_by(&mut copy, in_order)?;
    Ok(copy)
}

/// Sorts by merging: stable, and the same questions in the same order in every build.
fn sort_by(array: &mut Array, in_order: &mut InOrder<'_>) -> Fallible<()> {
    let places: Vec<usize> = (0..array.len()).collect();
    let places = merge_sort(places, &mut |a, b| in_order(&array[a], &array[b]))?;
    let mut items: Vec<Option<Dynamic>> = std::mem::take(array).into_iter().map(Some).collect();
    array.extend(places.into_iter().filter_map(|place| items[place].take()));
    Ok(())
}

fn merge_sort(
    mut places: Vec<usize>,
    in_order: &mut dyn FnMut(usize, usize) -> Fallible<bool>,
) -> Fallible<Vec<usize>> {
    if places.len() < 2 {
        return Ok(places);
    }
    let right = places.split_off(places.len() / 2);
    let mut left = merge_sort(places, in_order)?.into_iter().peekable();
    let mut right = merge_sort(right, in_order)?.into_iter().peekable();
    let mut merged = Vec::with_capacity(left.len() + right.len());
    while let (Some(&a), Some(&b)) = (left.peek(), right.peek()) {
        merged.extend(if in_order(a, b)? { left.next() } else { right.next() });
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}

/// Takes out each item that the closure finds the same as the one kept before it.
fn dedup(ctx: NativeCallContext, array: &mut Array, is_same: FnPtr) -> Fallible<()> {
    let mut kept: Array = Vec::new();
    for item in array.iter() {
        if let Some(last) = kept.last() {
            let same = is_same.call_raw(&ctx, None, [last.clone(), item.clone()])?;
            if same
                .as_bool()
                .map_err(|_| mismatch("a bool from the closure of `dedup`", &same))?
            {
                continue;
            }
        }
        kept.push(item.clone());
    }
    *array = kept;
    Ok(())
}

fn mismatch(wanted: &str, got: &Dynamic) -> Box<EvalAltResult> {
    EvalAltResult::ErrorMismatchDataType(wanted.to_owned(), got.type_name().to_owned(), rhai::Position::NONE).into()
}
