//! Collections as texts: `print`, `to_string`, interpolation and JSON, of a bounded length.
//!
//! Rhai shares texts between values, so a small map can hold one text ten thousand times; its own functions wrote it
//! out as often, in one step, before any limit was looked at. And where a text is only wanted to be put into another,
//! Rhai turns every error, also that of its own check of the collection's size afterwards, into the whole text after
//! all. So what is too large does not fail here: it unwinds the run.

use rhai::{Array, Blob, Dynamic, EvalAltResult, ImmutableString, Map, Module, NativeCallContext};

use super::{ContextExt, ScriptLimits};
use crate::effect::Failure;
use crate::gate::Halt;

pub(super) fn set(module: &mut Module) {
    for name in ["print", "debug", "to_string", "to_debug"] {
        rhai::FuncRegistration::new(name)
            .with_purity(true)
            .set_into_module(module, |ctx: NativeCallContext, array: &mut Array| {
                written(&ctx, |text| text.items(array))
            });
        rhai::FuncRegistration::new(name)
            .with_purity(true)
            .set_into_module(module, |ctx: NativeCallContext, map: &mut Map| {
                written(&ctx, |text| text.fields(map))
            });
    }
    rhai::FuncRegistration::new("to_json")
        .with_purity(true)
        .set_into_module(
            module,
            |ctx: NativeCallContext, map: &mut Map| -> Result<String, Box<EvalAltResult>> {
                // Cloning shares the texts.
                ctx.value(&Dynamic::from_map(map.clone()))
                    .map(|value| value.to_string())
            },
        );
}

/// The text that `write` writes, unless it or the collection is larger than Rhai will allow.
fn written(ctx: &NativeCallContext, write: impl FnOnce(&mut Text<'_>) -> Option<()>) -> ImmutableString {
    let limits = ScriptLimits::of(ctx.engine());
    let (left, text) = (limits.clone(), String::new());
    let mut text = Text { ctx, text, left };
    if write(&mut text).is_some() {
        return text.text.into();
    }
    match ctx.run() {
        Ok(run) => run.unwind(
            Halt::Limit(Failure::new(
                "LIMIT_SIZE",
                limits.too_large("a collection that was to become a text"),
            )),
            ctx.place(),
        ),
        Err(_) => ImmutableString::new(),
    }
}

/// A text under way.
struct Text<'a> {
    ctx: &'a NativeCallContext<'a>,
    text: String,
    /// What the text and the collection may still grow by.
    left: ScriptLimits,
}

impl Text<'_> {
    /// `None` when it has become too long.
    fn push(&mut self, part: &str) -> Option<()> {
        self.left.string_bytes = self.left.string_bytes.checked_sub(part.len())?;
        self.text.push_str(part);
        Some(())
    }

    fn items(&mut self, array: &[Dynamic]) -> Option<()> {
        self.left.array_items = self.left.array_items.checked_sub(array.len())?;
        self.push("[")?;
        for (index, item) in array.iter().enumerate() {
            if index > 0 {
                self.push(", ")?;
            }
            self.item(item)?;
        }
        self.push("]")
    }

    fn fields(&mut self, map: &Map) -> Option<()> {
        self.left.map_fields = self.left.map_fields.checked_sub(map.len())?;
        self.push("#{")?;
        for (index, (name, value)) in map.iter().enumerate() {
            if index > 0 {
                self.push(", ")?;
            }
            self.quoted(name)?;
            self.push(": ")?;
            self.item(value)?;
        }
        self.push("}")
    }

    fn item(&mut self, item: &Dynamic) -> Option<()> {
        if let Some(array) = item.read_lock::<Array>() {
            return self.items(&array);
        }
        if let Some(map) = item.read_lock::<Map>() {
            return self.fields(&map);
        }
        if let Ok(text) = item.as_immutable_string_ref() {
            return self.quoted(&text);
        }
        if let Some(bytes) = item.read_lock::<Blob>() {
            self.left.array_items = self.left.array_items.checked_sub(bytes.len() + 1)?;
        }
        // Everything else is small, and Rhai knows best how it looks.
        let shown = self.ctx.call_native_fn::<ImmutableString>("to_debug", (item.clone(),));
        self.push(&shown.unwrap_or_else(|_| item.type_name().into()))
    }

    fn quoted(&mut self, text: &str) -> Option<()> {
        if text.len() > self.left.string_bytes {
            return None;
        }
        self.push(&format!("{text:?}"))
    }
}
