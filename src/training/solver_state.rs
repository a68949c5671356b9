//! Whether what a checkpoint says of a solver can be its state: argmin's solvers take their own fields for granted.

use crate::scalar::{Scalar, real};
use serde_json::Value;

/// Says what is wrong with a solver's saved fields, beside those of a new one with the same settings.
///
/// The differences that L-BFGS remembers (`s` and `y`) are as many of one as of the other and no more than `m`; they and the direction
/// of conjugate gradients (`p`) have a finite number for each parameter; `beta` is finite. Every other field is that of the new solver.
pub(super) fn check<T: Scalar>(
    saved: &Value,
    new: &Value,
    parameters: usize,
) -> Result<(), String> {
    let (Some(saved), Some(new)) = (saved.as_object(), new.as_object()) else {
        return Err("the solver's state is no list of fields".into());
    };
    if let Some(name) = saved.keys().find(|name| !new.contains_key(*name)) {
        return Err(format!("the solver has no field {name:?}"));
    }
    let vector = |value: &Value| {
        let entries = value.as_array().map(Vec::as_slice);
        entries.is_some_and(|all| all.len() == parameters && all.iter().all(is_finite::<T>))
    };
    let vectors = |value: &Value| {
        let all = value.as_array().filter(|all| all.iter().all(vector));
        all.map(Vec::len)
    };
    for (name, expected) in new {
        let Some(found) = saved.get(name) else {
            return Err(format!("the solver's {name:?} is missing"));
        };
        let fits = match name.as_str() {
            "s" | "y" => vectors(found).is_some_and(|count| {
                let most = new.get("m").and_then(Value::as_u64);
                let pair = ["s", "y"].map(|name| saved.get(name).and_then(vectors));
                pair == [Some(count); 2] && most.is_some_and(|most| count as u64 <= most)
            }),
            "p" => vector(found),
            "beta" => is_finite::<T>(found),
            _ => found == expected,
        };
        if !fits {
            return Err(format!(
                "the solver's {name:?} cannot be that of this training"
            ));
        }
    }
    Ok(())
}

fn is_finite<T: Scalar>(value: &Value) -> bool {
    value.as_f64().is_some_and(|x| real::<T>(x).is_finite())
}
