//! Checks a saved solver state, because argmin's solvers do not validate their own fields.

use crate::scalar::{Scalar, real};
use serde_json::Value;

/// Returns the fields of a new solver with the saved memory, or the reason for refusing it.
///
/// L-BFGS remembers differences: one of θ (`s`) and one of ∇J (`y`) for each of the last `m`
/// iterations. Conjugate gradients remember a direction (`p`) and `beta`, and their line search J
/// before the last step. Vectors have one finite number per parameter. All other fields are settings,
/// and must equal those of the new solver.
pub(super) fn restore<T: Scalar>(
    saved: &Value,
    mut new: Value,
    (parameters, iterations): (usize, Option<u64>),
) -> Result<Value, String> {
    let (Some(saved), Some(fields)) = (saved.as_object(), new.as_object_mut()) else {
        return Err("the solver's state is not an object".into());
    };
    if let Some(name) = saved.keys().find(|name| !fields.contains_key(*name)) {
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
    let most = fields.get("m").and_then(Value::as_u64);
    for (name, field) in fields {
        let Some(found) = saved.get(name) else {
            return Err(format!("the solver's {name:?} is missing"));
        };
        let fits = match name.as_str() {
            "s" | "y" => vectors(found).is_some_and(|count| {
                let pair = ["s", "y"].map(|name| saved.get(name).and_then(vectors));
                let expected = most.zip(iterations).map(|(most, made)| most.min(made));
                pair == [Some(count); 2] && expected == Some(count as u64)
            }),
            "p" => vector(found),
            "beta" => is_finite::<T>(found),
            "linesearch" => is_search::<T>(found, field),
            _ => *found == *field,
        };
        if !fits {
            return Err(format!(
                "the solver's {name:?} cannot be that of this training"
            ));
        }
        // Files of version 1 have no line search.
        if !found.is_null() {
            *field = found.clone();
        }
    }
    Ok(new)
}

/// Returns whether a line search belongs to the same solver; it may know J before the last step.
fn is_search<T: Scalar>(found: &Value, new: &Value) -> bool {
    let (Some(fields), Some(new)) = (found.as_object(), new.as_object()) else {
        return found.is_null();
    };
    fields.len() == new.len()
        && new.iter().all(|(name, expected)| {
            fields.get(name).is_some_and(|found| match name.as_str() {
                "before" => found.is_null() || is_finite::<T>(found),
                _ => found == expected,
            })
        })
}

fn is_finite<T: Scalar>(value: &Value) -> bool {
    value.as_f64().is_some_and(|x| real::<T>(x).is_finite())
}
