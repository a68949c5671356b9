//! Values in a JSON file. Every failure names the path of the value.

use serde_json::Value;

/// A value and its path.
#[derive(Clone, Debug)]
pub(crate) struct At<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> At<'a> {
    pub(crate) fn root(value: &'a Value) -> Self {
        let path = String::new();
        Self { path, value }
    }

    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    pub(crate) fn get(&self, key: &str) -> Result<At<'a>, String> {
        self.find(key)
            .ok_or_else(|| format!("{}: missing", self.inner(key)))
    }

    /// Returns the value of a key, if it is there.
    pub(crate) fn find(&self, key: &str) -> Option<At<'a>> {
        let (path, value) = (self.inner(key), self.value.get(key)?);
        Some(At { path, value })
    }

    fn inner(&self, key: &str) -> String {
        let dot = if self.path.is_empty() { "" } else { "." };
        format!("{}{dot}{key}", self.path)
    }

    /// Fails if the value is not an object, or has a key that is not in `known`.
    pub(crate) fn check_keys(&self, known: &[&str]) -> Result<(), String> {
        for (key, _) in self.entries()? {
            if !known.contains(&key) {
                return Err(format!("{}: unknown", self.inner(key)));
            }
        }
        Ok(())
    }

    /// Returns the keys and values of an object.
    pub(crate) fn entries(&self) -> Result<Vec<(&'a str, At<'a>)>, String> {
        let Some(object) = self.value.as_object() else {
            return self.wrong("an object");
        };
        let entry = |(key, value): (&'a String, &'a Value)| {
            let path = self.inner(key);
            (key.as_str(), At { path, value })
        };
        Ok(object.iter().map(entry).collect())
    }

    /// Fails with what was expected here.
    pub(crate) fn wrong<T>(&self, expected: &str) -> Result<T, String> {
        Err(format!("{}: expected {expected}", self.path))
    }

    /// Fails with a reason.
    pub(crate) fn refuse<T>(&self, reason: impl ToString) -> Result<T, String> {
        Err(format!("{}: {}", self.path, reason.to_string()))
    }

    pub(crate) fn is_null(&self) -> bool {
        self.value.is_null()
    }

    pub(crate) fn is_object(&self) -> bool {
        self.value.is_object()
    }

    pub(crate) fn list(&self) -> Result<Vec<At<'a>>, String> {
        let Some(values) = self.value.as_array() else {
            return self.wrong("a list");
        };
        let item = |(i, value)| At {
            path: format!("{}[{i}]", self.path),
            value,
        };
        Ok(values.iter().enumerate().map(item).collect())
    }

    pub(crate) fn list_of(&self, len: usize) -> Result<Vec<At<'a>>, String> {
        let list = self.list()?;
        if list.len() == len {
            return Ok(list);
        }
        self.wrong(&format!("{len} entries, found {}", list.len()))
    }

    pub(crate) fn text(&self) -> Result<&'a str, String> {
        let text = self.value.as_str();
        text.map_or_else(|| self.wrong("a text"), Ok)
    }

    /// Fails unless the value is this text.
    pub(crate) fn check_text(&self, expected: &str) -> Result<(), String> {
        if self.text()? == expected {
            return Ok(());
        }
        self.wrong(&format!("{expected:?}, found {}", self.value))
    }

    pub(crate) fn flag(&self) -> Result<bool, String> {
        let flag = self.value.as_bool();
        flag.map_or_else(|| self.wrong("true or false"), Ok)
    }

    pub(crate) fn number(&self) -> Result<f64, String> {
        let number = self.value.as_f64();
        number.map_or_else(|| self.wrong("a number"), Ok)
    }

    pub(crate) fn integer(&self) -> Result<i64, String> {
        let integer = self.value.as_i64();
        integer.map_or_else(|| self.wrong("a whole number"), Ok)
    }

    /// An index or a number of parameters.
    pub(crate) fn index(&self) -> Result<usize, String> {
        match self.value.as_u64().map(usize::try_from) {
            Some(Ok(index)) => Ok(index),
            _ => self.wrong("a whole number of at least 0"),
        }
    }

    /// A size: an integer of at least 1.
    pub(crate) fn size(&self) -> Result<usize, String> {
        match self.index() {
            Ok(size) if size > 0 => Ok(size),
            _ => self.wrong("a positive whole number"),
        }
    }

    pub(crate) fn sizes(&self) -> Result<Vec<usize>, String> {
        self.list()?.iter().map(At::size).collect()
    }

    /// The entries of nested lists of this shape, in C order.
    pub(crate) fn array(&self, shape: &[usize]) -> Result<Vec<f64>, String> {
        let Some((&len, inner)) = shape.split_first() else {
            return Ok(vec![self.number()?]);
        };
        let mut entries = Vec::new();
        for item in self.list_of(len)? {
            entries.extend(item.array(inner)?);
        }
        Ok(entries)
    }
}
