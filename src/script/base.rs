//! The language's own functions, and where ours replace Rhai's.
//!
//! Packages are chosen one by one, without the clock. Replaced are: `replace`, which measured its result only after
//! making it; what sorts ([`super::sorting`]) and what makes texts of collections ([`super::texts`]); `sleep`, which is
//! part of the core; and the transcendental functions, which depended on the platform's mathematics library.

use rhai::module_resolvers::DummyModuleResolver;
use rhai::packages::{
    BasicArrayPackage, BasicBlobPackage, BasicMapPackage, BasicMathPackage, BitFieldPackage, CorePackage, LogicPackage,
    MoreStringPackage, Package,
};
use rhai::{Engine, EvalAltResult, ImmutableString, Module, Shared};

/// The longest text that `replace` makes; the engine's own limit is checked afterwards.
const REPLACED_BYTES_MAX: usize = 4 << 20;

/// Symbols that scripts may not use: `eval` escapes checks, and `**` on floats differs between platforms.
const DISABLED: [&str; 3] = ["eval", "**", "**="];

/// Rhai's packages that scripts see, built once.
pub fn packages() -> Vec<Shared<Module>> {
    vec![
        CorePackage::new().as_shared_module(),
        BitFieldPackage::new().as_shared_module(),
        LogicPackage::new().as_shared_module(),
        BasicMathPackage::new().as_shared_module(),
        BasicArrayPackage::new().as_shared_module(),
        BasicBlobPackage::new().as_shared_module(),
        BasicMapPackage::new().as_shared_module(),
        MoreStringPackage::new().as_shared_module(),
    ]
}

/// Takes away what scripts may not do.
pub fn restrict(engine: &mut Engine) {
    for symbol in DISABLED {
        engine.disable_symbol(symbol);
    }
    engine.set_module_resolver(DummyModuleResolver::new());
    engine.set_strict_variables(true);
    engine.set_optimization_level(rhai::OptimizationLevel::None);
}

/// Our functions in place of Rhai's. They are found first.
pub fn overrides() -> Shared<Module> {
    let mut module = Module::new();
    module.set_id("host::base");
    set_text(&mut module);
    super::sorting::set(&mut module);
    super::texts::set(&mut module);
    set_math(&mut module);
    set_sleep(&mut module);
    module.build_index();
    module.into()
}

fn set_text(module: &mut Module) {
    rhai::FuncRegistration::new("replace").set_into_module(
        module,
        |text: &mut ImmutableString, find: ImmutableString, with: ImmutableString| replace(text, &find, &with),
    );
    rhai::FuncRegistration::new("replace").set_into_module(
        module,
        |text: &mut ImmutableString, find: char, with: char| {
            replace(text, find.encode_utf8(&mut [0; 4]), with.encode_utf8(&mut [0; 4]))
        },
    );
    rhai::FuncRegistration::new("replace").set_into_module(
        module,
        |text: &mut ImmutableString, find: ImmutableString, with: char| {
            replace(text, &find, with.encode_utf8(&mut [0; 4]))
        },
    );
    rhai::FuncRegistration::new("replace").set_into_module(
        module,
        |text: &mut ImmutableString, find: char, with: ImmutableString| {
            replace(text, find.encode_utf8(&mut [0; 4]), &with)
        },
    );
}

fn replace(text: &mut ImmutableString, find: &str, with: &str) -> Result<(), Box<EvalAltResult>> {
    if find.is_empty() {
        return Ok(());
    }
    let found = text.matches(find).count();
    let bytes = (text.len() - found * find.len()).saturating_add(found.saturating_mul(with.len()));
    if bytes > REPLACED_BYTES_MAX {
        return Err(EvalAltResult::ErrorDataTooLarge("the replaced string".to_owned(), rhai::Position::NONE).into());
    }
    *text = text.replace(find, with).into();
    Ok(())
}

/// A function of one number, as `libm` has them.
type OfOneNumber = fn(f64) -> f64;

fn set_math(module: &mut Module) {
    let functions: [(&str, OfOneNumber); 15] = [
        ("sin", libm::sin),
        ("cos", libm::cos),
        ("tan", libm::tan),
        ("sinh", libm::sinh),
        ("cosh", libm::cosh),
        ("tanh", libm::tanh),
        ("asin", libm::asin),
        ("acos", libm::acos),
        ("atan", libm::atan),
        ("asinh", libm::asinh),
        ("acosh", libm::acosh),
        ("atanh", libm::atanh),
        ("exp", libm::exp),
        ("ln", libm::log),
        ("log", libm::log10),
    ];
    for (name, function) in functions {
        rhai::FuncRegistration::new(name).set_into_module(module, move |x: f64| function(x));
    }
    rhai::FuncRegistration::new("atan").set_into_module(module, |y: f64, x: f64| libm::atan2(y, x));
    rhai::FuncRegistration::new("hypot").set_into_module(module, |x: f64, y: f64| libm::hypot(x, y));
    rhai::FuncRegistration::new("log").set_into_module(module, |x: f64, base: f64| libm::log(x) / libm::log(base));
    rhai::FuncRegistration::new("pow").set_into_module(module, |x: f64, y: f64| libm::pow(x, y));
    rhai::FuncRegistration::new("pow").set_into_module(module, |x: i64, y: i64| -> Result<i64, Box<EvalAltResult>> {
        u32::try_from(y)
            .ok()
            .and_then(|y| x.checked_pow(y))
            .ok_or_else(|| format!("{x} to the power of {y} is no whole number of 64 bits; use floats").into())
    });
}

fn set_sleep(module: &mut Module) {
    fn refuse() -> Result<(), Box<EvalAltResult>> {
        Err("a playbook cannot sleep like this: it would hold its thread; start it by a schedule instead".into())
    }
    rhai::FuncRegistration::new("sleep").set_into_module(module, |_: i64| refuse());
    rhai::FuncRegistration::new("sleep").set_into_module(module, |_: f64| refuse());
}
