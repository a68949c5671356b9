//! The state and the masks of a case.

use crate::support::json::At;
use crate::support::spec;
use backprop::nalgebra::DMatrix;
use backprop::{Network, Path};

/// Reads the running statistics in the order of the network's state, each as a block.
pub(crate) fn read(at: &At<'_>, network: &Network<f64>) -> Result<Vec<Vec<f64>>, String> {
    let mut vectors = network.state_by_path();
    let mut blocks = Vec::new();
    for layer in at.list()? {
        layer.check_keys(&["layer", "running_mean", "running_var"])?;
        let path = spec::path(&layer.get("layer")?)?;
        for (index, key) in ["running_mean", "running_var"].into_iter().enumerate() {
            let found = vectors.next();
            let Some(vector) = found.filter(|v| (v.path, v.index) == (&path, index)) else {
                return layer.wrong("the layers that have state, in order");
            };
            blocks.push(layer.get(key)?.array(&[vector.values.len()])?);
        }
    }
    match vectors.next() {
        Some(vector) => at.wrong(&format!("the state of layer {} too", vector.path)),
        None => Ok(blocks),
    }
}

/// Reads the masks of these layers, with one example per column.
pub(crate) fn masks(
    at: &At<'_>,
    layers: &[Path],
    m: usize,
) -> Result<Vec<(Path, DMatrix<f64>)>, String> {
    let list = at.list_of(layers.len())?;
    let masks = list.iter().zip(layers).map(|(at, path)| {
        at.check_keys(&["layer", "values"])?;
        let layer = at.get("layer")?;
        if spec::path(&layer)? != *path {
            return layer.wrong("the layers that have masks, in order");
        }
        let examples = at.get("values")?.list_of(m)?;
        let rows = examples
            .first()
            .map_or(Ok(0), |first| first.list().map(|l| l.len()))?;
        let columns = examples.iter().map(|example| example.array(&[rows]));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        Ok((path.clone(), DMatrix::from_vec(rows, m, columns.concat())))
    });
    masks.collect()
}
