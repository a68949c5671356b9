//! The command line.

use super::{Row, table::check_name};

const USAGE: &str = "options:
  --rows a,b,…        rows by name, or others as name:sizes:activation:cost:batch:train|forward,
                      as gym:17-64-64-6:tanh:half_mse:64:train (all named rows);
                      name=FILE is a row from a JSON file: see benches/peers/rows/README.md
  --threads 1,2       sizes of the thread pool (1)
  --dtypes f32,f64    scalar types (both)
  --min-time seconds  how long each row is sampled (0.5)
  --tries n           how often a row is measured again while other processes disturb (6)
  --json FILE         write the records there too
  --values            print J, outputs and gradients of rows from files, and measure nothing
  --list              only print the rows, in full";

#[derive(Debug)]
pub struct Options {
    pub rows: Vec<Row>,
    /// Names and files.
    pub files: Vec<(String, String)>,
    /// Whether the values of the files are printed instead of times.
    pub values: bool,
    pub threads: Vec<usize>,
    pub dtypes: Vec<String>,
    pub min_time: f64,
    pub tries: usize,
    pub json: Option<String>,
}

impl Options {
    /// Returns the options of this process. If they are wrong, prints a message and exits with code
    /// 2.
    pub fn from_env() -> Self {
        Self::parse(std::env::args().skip(1)).unwrap_or_else(|message| {
            eprintln!("{message}\n\n{USAGE}");
            std::process::exit(2)
        })
    }

    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            rows: Row::all()?,
            files: Vec::new(),
            values: false,
            threads: vec![1],
            dtypes: vec!["f32".into(), "f64".into()],
            min_time: 0.5,
            tries: 6,
            json: None,
        };
        let mut list = false;
        while let Some(option) = arguments.next() {
            if option == "--bench" {
                continue; // cargo's
            }
            if option == "--help" || option == "-h" {
                println!("{USAGE}");
                std::process::exit(0);
            }
            if option == "--list" {
                list = true;
                continue;
            }
            if option == "--values" {
                options.values = true;
                continue;
            }
            let known = [
                "--rows",
                "--threads",
                "--dtypes",
                "--min-time",
                "--tries",
                "--json",
            ];
            if !known.contains(&option.as_str()) {
                return Err(format!("unknown option {option:?}"));
            }
            let value = arguments
                .next()
                .ok_or_else(|| format!("{option} needs a value"))?;
            let wrong = |what: &str| format!("{option} {value:?}: {what}");
            match option.as_str() {
                "--rows" => {
                    options.rows.clear();
                    for row in value.split(',') {
                        match row.split_once('=') {
                            Some((name, file)) => {
                                check_name(name)?;
                                options.files.push((name.into(), file.into()));
                            }
                            None => options.rows.push(Row::parse(row)?),
                        }
                    }
                }
                "--threads" => {
                    let count = |part: &str| part.parse().ok().filter(|&n| (1..=1024).contains(&n));
                    let counts: Option<Vec<usize>> = value.split(',').map(count).collect();
                    options.threads =
                        counts.ok_or_else(|| wrong("thread counts are numbers from 1, as 1,2"))?;
                }
                "--dtypes" => {
                    options.dtypes = value.split(',').map(String::from).collect();
                    if options
                        .dtypes
                        .iter()
                        .any(|dtype| dtype != "f32" && dtype != "f64")
                    {
                        return Err(wrong("scalar types are f32 and f64"));
                    }
                }
                "--min-time" => {
                    let seconds = value.parse().ok().filter(|s| (1e-6..=3600.0).contains(s));
                    options.min_time = seconds.ok_or_else(|| wrong("a time in seconds, as 0.2"))?;
                }
                "--tries" => {
                    let tries = value.parse().ok().filter(|&n| n > 0);
                    options.tries = tries.ok_or_else(|| wrong("a number from 1"))?;
                }
                _ => options.json = Some(value),
            }
        }
        if list {
            options.rows.iter().for_each(|row| println!("{row}"));
            for (name, file) in &options.files {
                println!("{name}={file}");
            }
            std::process::exit(0);
        }
        Ok(options)
    }

    /// Returns the rows, in a driver that has none from files.
    pub fn without_files(self) -> Result<Self, String> {
        match &self.files[..] {
            [] => Ok(self),
            [(name, file), ..] => Err(format!("{name}={file}: no rows from files here")),
        }
    }
}
