//! Programs in Python, where the tester has one.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The interpreter that `BACKPROP_PYTHON` names.
pub(crate) struct Python(String);

impl Python {
    /// Returns the interpreter if it has these modules. Otherwise, says on the terminal what the
    /// tests do not check.
    pub(crate) fn with(modules: &[&str], unchecked: &str) -> Option<Self> {
        let list = modules.join(", ");
        let Ok(name) = std::env::var("BACKPROP_PYTHON") else {
            say(&format!(
                "NOT CHECKED: {unchecked}. Set BACKPROP_PYTHON to a Python with {list}."
            ));
            return None;
        };
        let python = Self(name);
        let code = "import importlib.util as u, sys\n\
                    print(*[m for m in sys.argv[1:] if u.find_spec(m) is None])";
        let missing = python.run(&[&["-c", code], modules].concat(), Path::new("."), "");
        if missing.trim().is_empty() {
            return Some(python);
        }
        let missing = missing.trim();
        say(&format!(
            "NOT CHECKED: {unchecked}. Install {missing} for {}, the Python in BACKPROP_PYTHON.",
            python.0
        ));
        None
    }

    /// Runs a program and returns what it prints.
    pub(crate) fn run(&self, arguments: &[&str], folder: &Path, input: &str) -> String {
        let child = Command::new(&self.0)
            .args(arguments)
            .current_dir(folder)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap_or_else(|e| panic!("BACKPROP_PYTHON={}: {e}", self.0));
        let mut stdin = child.stdin.take().unwrap();
        // A program may end before it has read everything.
        _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Writes a line to the terminal, also from a test that passes.
fn say(line: &str) {
    _ = writeln!(std::io::stderr(), "{line}");
}
