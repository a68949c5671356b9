//! Files that need care or must be refused.

use super::kind::{self, Kind};
use super::models::{BOUND, Model, Ratios};
use super::raw;
use crate::support::json::At;
use backprop::interchange::{InterchangeError, Options, onnx};
use std::path::Path;

/// Checks a file of tensors against its entry of `expect.json`.
pub(crate) fn check_tensors(at: &At<'_>, model: &Model, path: &Path) -> Result<Ratios, String> {
    if model.outputs.is_none() {
        check_refused(at, model, path)?;
        return Ok(Ratios::default());
    }
    let mut ratios = Ratios::default();
    for form in &model.forms {
        let mut network = form.network::<f64>()?;
        let read = kind::read(path, &mut network);
        read.map_err(|error| format!("{}: {error}", form.name))?;
        ratios.f64 = ratios.f64.max(model.error(&network)? / BOUND);
        if let Some(widened) = at.find("widened") {
            let bytes = kind::written(Kind::Safetensors, &network, &Options::new());
            let found = raw::safetensors(&bytes.map_err(|error| error.to_string())?);
            for (name, at) in widened.entries()? {
                let tensor = found.get(name).ok_or_else(|| format!("no tensor {name}"))?;
                if tensor.doubles() != at.array(&tensor.shape)? {
                    return Err(format!("{name}: other numbers"));
                }
            }
        }
    }
    Ok(ratios)
}

/// Checks an ONNX file against its entry of `expect.json`.
pub(crate) fn check_onnx(at: &At<'_>, model: &Model, path: &Path) -> Result<Ratios, String> {
    if model.outputs.is_some() {
        return model.check_onnx(path);
    }
    let Err(error) = onnx::load::<f64>(path, &Options::new()) else {
        return Err("read, expected an error".into());
    };
    // "the op" of "typed error naming the op; …" is that of "node Frobnicate of domain …".
    let (what, expected) = (at.get("what")?.text()?, at.get("expect")?.text()?);
    let operator = what
        .strip_prefix("node ")
        .and_then(|what| what.split(' ').next());
    let is_named = match error.reason() {
        InterchangeError::Operator {
            operator: found, ..
        } => operator.is_none_or(|operator| found.ends_with(operator)),
        _ => operator.is_none() && !expected.contains("naming the op"),
    };
    if is_named {
        Ok(Ratios::default())
    } else {
        Err(format!(
            "expected an error that names the node of {what:?}, found {error}"
        ))
    }
}

/// A file that must be refused, with an error that names what `expect` says.
fn check_refused(at: &At<'_>, model: &Model, path: &Path) -> Result<(), String> {
    for form in &model.forms {
        let mut network = form.network::<f64>()?;
        let before = network.clone();
        let Err(error) = kind::read(path, &mut network) else {
            return Err(format!("{}: read, expected an error", form.name));
        };
        let InterchangeError::File { path: named, .. } = &error else {
            return Err(format!("{}: the error is {error}", form.name));
        };
        if network != before || named != path {
            return Err(format!("{}: the network has changed", form.name));
        }
        names_what_it_should(at, &error)?;
    }
    Ok(())
}

/// `expect` may be "typed error naming 2.weight and both shapes; …".
pub(crate) fn names_what_it_should(at: &At<'_>, error: &InterchangeError) -> Result<(), String> {
    let expected = at.get("expect")?.text()?;
    let Some((_, named)) = expected.split_once("naming ") else {
        return Ok(());
    };
    let (named, _) = named.split_once(';').unwrap_or((named, ""));
    let (name, shapes) = named.split_once(" and ").unwrap_or((named, ""));
    let has_shapes = matches!(error.reason(), InterchangeError::Shape { .. });
    if !error.to_string().contains(name) || shapes == "both shapes" && !has_shapes {
        return Err(format!("expected {expected:?}, found {error}"));
    }
    Ok(())
}
