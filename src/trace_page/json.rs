//! The data of a page as JSON that may stand inside a `<script>`.

use std::fmt::Write;

/// A JSON text under construction. Objects and lists are closed by the functions that open them.
#[derive(Debug, Default)]
pub(super) struct Json {
    text: String,
    /// Whether the next item needs a comma in front.
    comma: bool,
    /// The numbers of matrices that the text may still hold.
    pub(super) room: usize,
}

impl Json {
    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn start(&mut self) {
        if self.comma {
            self.text.push(',');
        }
        self.comma = true;
    }

    fn inside(&mut self, [open, close]: [char; 2], content: impl FnOnce(&mut Self)) {
        self.start();
        self.text.push(open);
        self.comma = false;
        content(self);
        self.text.push(close);
        self.comma = true;
    }

    pub(super) fn object(&mut self, content: impl FnOnce(&mut Self)) {
        self.inside(['{', '}'], content);
    }

    pub(super) fn list(&mut self, content: impl FnOnce(&mut Self)) {
        self.inside(['[', ']'], content);
    }

    /// Writes a key; the next item is its value.
    pub(super) fn key(&mut self, key: &str) -> &mut Self {
        self.string(key);
        self.text.push(':');
        self.comma = false;
        self
    }

    /// Writes a string. Characters that could end a `<script>`, or begin a comment or a tag, are
    /// escaped.
    pub(super) fn string(&mut self, string: &str) {
        self.start();
        self.text.push('"');
        for c in string.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' | '\u{7f}' => {
                    // Writing to a string does not fail.
                    let _ = write!(self.text, "\\u{:04x}", u32::from(c));
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }

    /// Writes a number in the fewest digits that give it back; `null` for NaN and ±∞.
    pub(super) fn number(&mut self, number: f64) {
        self.start();
        if !number.is_finite() {
            self.text.push_str("null");
            return;
        }
        let (plain, short) = (format!("{number}"), format!("{number:e}"));
        self.text.push_str(if short.len() < plain.len() {
            &short
        } else {
            &plain
        });
    }

    pub(super) fn numbers(&mut self, numbers: impl IntoIterator<Item = f64>) {
        self.list(|json| numbers.into_iter().for_each(|number| json.number(number)));
    }

    pub(super) fn count(&mut self, count: usize) {
        self.start();
        let _ = write!(self.text, "{count}");
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.start();
        self.text.push_str(if flag { "true" } else { "false" });
    }

    pub(super) fn null(&mut self) {
        self.start();
        self.text.push_str("null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_json_and_cannot_end_a_script() {
        let mut json = Json::default();
        json.object(|json| {
            json.key("</script>").string("<!-- \"\\\n\u{2028}é");
            json.key("x").numbers([0.1, -0.0, 1e-300, 1e300, f64::NAN]);
            json.key("y").list(|json| {
                json.flag(true);
                json.null();
                json.count(3);
            });
            json.key("z").object(|_| {});
        });
        let expected = "{\"\\u003c/script\\u003e\":\"\\u003c!-- \\\"\\\\\\u000a\\u2028é\",\
                        \"x\":[0.1,-0,1e-300,1e300,null],\"y\":[true,null,3],\"z\":{}}";
        assert_eq!(json.into_text(), expected);
    }
}
