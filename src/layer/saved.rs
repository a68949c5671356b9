//! Layers inside layers as plain data (feature `serde`).
//!
//! The layers of a file may be nested to any depth, and reading them is recursive. Each container
//! therefore counts the containers around it, and refuses to be read where no network could hold
//! it, long before the stack of a thread ends. The formats need no limit of their own.

use super::concat::{Axis, Concat};
use super::residual::Residual;
use super::sequential::Sequential;
use super::site::Site;
use crate::error::Error;
use crate::shape::Shape;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::cell::Cell;

thread_local! {
    /// The place of the innermost container that this thread is reading.
    static READING: Cell<Option<Site>> = const { Cell::new(None) };
}

/// Exists while a container is read.
struct Inside {
    outer: Option<Site>,
}

impl Inside {
    /// Goes one container deeper, if a network may be that deep.
    fn enter() -> Result<Self, Error> {
        let (outer, any) = (READING.get(), Shape::Units(1));
        let site = outer.unwrap_or_else(|| Site::new(any)).child(any, false)?;
        READING.set(Some(site));
        Ok(Self { outer })
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        READING.set(self.outer);
    }
}

/// Reads the content of a container.
fn content<'de, D: Deserializer<'de>, V: Deserialize<'de>>(deserializer: D) -> Result<V, D::Error> {
    let _inside = Inside::enter().map_err(D::Error::custom)?;
    V::deserialize(deserializer)
}

impl<'de, L: Deserialize<'de>> Deserialize<'de> for Sequential<L> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        content(deserializer).map(Self::new)
    }
}

#[derive(Deserialize)]
#[serde(rename = "Residual", deny_unknown_fields)]
struct ReadResidual<L> {
    body: Sequential<L>,
    shortcut: Option<Sequential<L>>,
}

impl<'de, L: Deserialize<'de>> Deserialize<'de> for Residual<L> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ReadResidual { body, shortcut } = content(deserializer)?;
        Ok(match shortcut {
            Some(shortcut) => Self::with_shortcut(body, shortcut),
            None => Self::new(body),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename = "Concat", deny_unknown_fields)]
struct ReadConcat<L> {
    branches: Vec<Sequential<L>>,
    axis: Axis,
}

impl<'de, L: Deserialize<'de>> Deserialize<'de> for Concat<L> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ReadConcat { branches, axis } = content(deserializer)?;
        Ok(Self::new(branches, axis))
    }
}
