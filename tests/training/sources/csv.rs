//! CSV files: what is read, what is refused and where, and files that are streamed.

use backprop::data::{Pipeline, Steps, Table};
use backprop::nalgebra::DMatrix;
use backprop::source::{Csv, FileSource, Number, ReadInto, RowFile, Source as _};
use backprop::{Error, TableFault};
use std::path::PathBuf;
use std::{env, fs, process};

fn csv() -> Csv {
    Csv::new().numbers(["mass", "year"]).text(["sex"])
}

/// The cells of a table: numbers, and text with `-` for missing values.
fn shown(table: &Table) -> String {
    let (mass, year) = (
        table.numbers("mass").unwrap(),
        table.numbers("year").unwrap(),
    );
    let rows = mass.iter().zip(year).zip(table.text("sex").unwrap());
    let rows = rows.map(|((mass, year), sex)| {
        let sex = sex.as_deref().unwrap_or("-");
        format!("{mass} {year} {sex}")
    });
    rows.collect::<Vec<_>>().join("; ")
}

#[test]
fn cells_are_read_as_they_are_written() {
    for (bytes, expected) in [
        ("mass,year,sex\n1,2,male\n", "1 2 male"),
        // Another order, columns that are not read, no line end after the last row.
        ("sex,x,year,y,mass\nmale,?,2,\"\"\"\",1", "1 2 male"),
        (
            "mass,year,sex\r\n1,2,male\r\n3,4,female\r\n",
            "1 2 male; 3 4 female",
        ),
        // Missing values, spaces, empty lines, and all forms of numbers.
        (
            "mass,year,sex\n\n,NA,NA\n\r\n NA ,, \n\n",
            "NaN NaN -; NaN NaN -",
        ),
        ("mass, year ,sex\n -1.5e3,\t+.5 , a b \n", "-1500 0.5 a b"),
        ("mass,year,sex\n0.1,1e-400,-0\n", "0.1 0 -0"),
        // Quoted cells: delimiters, quotation marks, line ends, and a quoted header.
        (
            "\"mass\",\"year\",\"sex\"\n\"1\",\"2\",\"a,\"\"b\"\"\nc\"\n3,4,d\n",
            "1 2 a,\"b\"\nc; 3 4 d",
        ),
        ("mass,year,sex\n1,2,\"\"\n1,2,\"NA\"\n", "1 2 -; 1 2 -"),
        ("\u{feff}mass,year,sex\n1,2,日本\n", "1 2 日本"),
        ("\u{feff}\"mass\",year,sex\n1,2,é\n", "1 2 é"),
    ] {
        let table = csv().from_bytes(bytes.as_bytes());
        let table = table.unwrap_or_else(|error| panic!("{bytes:?}: {error}"));
        assert_eq!(shown(&table), expected, "{bytes:?}");
    }
    let semicolons = csv().delimiter(b';').missing(["?", "-99"]);
    let table = semicolons.from_bytes(b"mass;year;sex\n-99;1;NA\n1;?;\n2;3;a,b\n");
    assert_eq!(shown(&table.unwrap()), "NaN 1 NA; 1 NaN ; 2 3 a,b");
    let tabs = csv()
        .delimiter(b'\t')
        .from_bytes(b"mass\tyear\tsex\n1\t2\tNA\n");
    assert_eq!(shown(&tabs.unwrap()), "1 2 -");
}

/// Files that are refused, with the line and the words of the error.
const BROKEN: &[(&[u8], u64, &str)] = &[
    (b"", 1, "there is no header"),
    (b"\n", 1, "there is no header"),
    (b"\r\n\r\n", 2, "there is no header"),
    (b"\xef\xbb\xbf", 1, "there is no header"),
    (b"mass,year,sex", 1, "there are no rows"),
    (b"mass,year,sex\n\n\n", 3, "there are no rows"),
    (
        b"mass,sex\n1,a\n",
        1,
        "no column \"year\", expected one of \"mass\", \"sex\"",
    ),
    (b"Mass,year,sex\n1,2,a\n", 1, "no column \"mass\""),
    (
        b"mass;year;sex\n1;2;a\n",
        1,
        "expected one of \"mass;year;sex\"",
    ),
    (b"1,2,a\n3,4,b\n", 1, "no column \"mass\""),
    (
        b"mass,year,sex,mass\n1,2,a,3\n",
        1,
        "more than one column \"mass\"",
    ),
    (
        b"mass,year,sex,sex\n1,2,a,b\n",
        1,
        "more than one column \"sex\"",
    ),
    (
        b"mass,year,sex\n1,2\n",
        2,
        "the row has 2 cells, expected 3",
    ),
    (
        b"mass,year,sex\n1,2,a\n1,2,a,\n",
        3,
        "the row has 4 cells, expected 3",
    ),
    (
        b"mass,year,sex\n1,2,a,b\n",
        2,
        "the row has 4 cells, expected 3",
    ),
    (
        b"mass,year,sex\n1,2,a\n\n\nlast\n",
        5,
        "the row has 1 cells, expected 3",
    ),
    (
        b"mass,year,sex\n1,2,\"a\nb\"\n1,2\n",
        4,
        "the row has 2 cells",
    ),
    (
        b"mass,year,sex\r\n1,2,a\r\n1,2\r\n",
        3,
        "the row has 2 cells",
    ),
    (b"mass,year,sex\n  \n", 2, "the row has 1 cells"),
    (
        b"mass,year,sex\n1,two,a\n",
        2,
        "column \"year\": expected a finite number",
    ),
    (b"mass,year,sex\n1,2,a\n1.5.2,2,a\n", 3, "found \"1.5.2\""),
    (b"mass,year,sex\n1,2,a\n1 000,2,a\n", 3, "found \"1 000\""),
    (b"mass,year,sex\n\"1,5\",2,a\n", 2, "found \"1,5\""),
    (b"mass,year,sex\n1_000,2,a\n", 2, "found \"1_000\""),
    (b"mass,year,sex\n0x10,2,a\n", 2, "found \"0x10\""),
    (b"mass,year,sex\n$3,2,a\n", 2, "found \"$3\""),
    (b"mass,year,sex\n3 kg,2,a\n", 2, "found \"3 kg\""),
    (b"mass,year,sex\n50%,2,a\n", 2, "found \"50%\""),
    (b"mass,year,sex\n--1,2,a\n", 2, "found \"--1\""),
    (b"mass,year,sex\n1e,2,a\n", 2, "found \"1e\""),
    (b"mass,year,sex\n.,2,a\n", 2, "found \".\""),
    (
        b"mass,year,sex\n\xe2\x88\x921,2,a\n",
        2,
        "found \"\u{2212}1\"",
    ),
    (b"mass,year,sex\ninf,2,a\n", 2, "found \"inf\""),
    (b"mass,year,sex\n-Infinity,2,a\n", 2, "found \"-Infinity\""),
    (b"mass,year,sex\nNaN,2,a\n", 2, "found \"NaN\""),
    (b"mass,year,sex\n1e999,2,a\n", 2, "found \"1e999\""),
    (b"mass,year,sex\nnull,2,a\n", 2, "found \"null\""),
    (b"mass,year,sex\nN/A,2,a\n", 2, "found \"N/A\""),
    (b"mass,year,sex\ntrue,2,a\n", 2, "found \"true\""),
    (
        b"mass,year,sex\n2007-11-11,2,a\n",
        2,
        "found \"2007-11-11\"",
    ),
    (b"mass,year,sex\n1\x00,2,a\n", 2, "found \"1\\0\""),
    (
        b"mass,year,sex\n1,2,caf\xe9\n",
        2,
        "cell 3 is not text in UTF-8: \"caf\u{fffd}\"",
    ),
    (
        b"mass,year,sex\n\xff,2,a\n",
        2,
        "cell 1 is not text in UTF-8",
    ),
    (
        b"m\xe4ss,year,sex\n1,2,a\n",
        1,
        "cell 1 is not text in UTF-8",
    ),
    (
        b"\xff\xfem\0a\0s\0s\0\n\0",
        1,
        "cell 1 is not text in UTF-8",
    ),
    (b"m\0a\0s\0s\0,\0y\0e\0a\0r\0\n\0", 1, "no column \"mass\""),
    (
        b"mass,year,sex\n1,2,\"a\n1,2,b\n",
        2,
        "a quotation mark is not closed",
    ),
    (
        b"mass,year,sex\n1,2,a\n1,2,\"",
        3,
        "a quotation mark is not closed",
    ),
    (
        b"\"mass,year,sex\n1,2,a\n",
        1,
        "a quotation mark is not closed",
    ),
    (
        b"mass,year,sex\n1,2,a\"b\n",
        2,
        "a quotation mark after its first character",
    ),
    (
        b"mass,year,sex\n1,2, \"a\"\n",
        2,
        "a quotation mark after its first character",
    ),
    (
        b"mass,year,sex\n1,2,\"a\"b\n",
        2,
        "text after the closing quotation mark",
    ),
    (
        b"mass,year,sex\n1,2,\"a\"\"\"b\"\n",
        2,
        "text after the closing quotation mark",
    ),
    (
        b"mass,year,sex\n1,2,\"a\\\"b\"\n",
        2,
        "text after the closing quotation mark",
    ),
    (b"mass,year,sex\r1,2,a\r", 1, "a carriage return is alone"),
    (b"mass,year,sex\n1,2,a\r", 2, "a carriage return is alone"),
    (
        b"mass,year,sex\n1,2,a\r\r\n",
        2,
        "a carriage return is alone",
    ),
    (
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
        1,
        "cell 1 is not text in UTF-8",
    ),
    (
        b"{\"mass\": 1, \"year\": 2}",
        1,
        "a quotation mark after its first character",
    ),
];

#[test]
fn broken_files_are_refused_with_their_line() {
    assert!(BROKEN.len() >= 50);
    for &(bytes, line, words) in BROKEN {
        let what = String::from_utf8_lossy(bytes);
        let Err(Error::Csv {
            name,
            line: found,
            fault,
        }) = csv().from_bytes(bytes)
        else {
            panic!("{what:?} is accepted");
        };
        let text = fault.to_string();
        assert!(text.contains(words), "{what:?}: {text}");
        assert_eq!(
            (name.as_str(), found),
            ("the CSV", line),
            "{what:?}: {text}"
        );
    }
}

#[test]
fn settings_are_refused() {
    let row = b"mass,year,sex\n1,2,a\n";
    for delimiter in [b'"', b'\n', b'\r', b' ', 0xe9] {
        let refused = csv().delimiter(delimiter).from_bytes(row);
        assert!(
            matches!(refused, Err(Error::Hyperparameter { .. })),
            "{delimiter}"
        );
    }
    let twice = csv().text(["mass"]).from_bytes(row).unwrap_err();
    let column = "mass".to_owned();
    assert_eq!(
        twice,
        Error::Table {
            fault: TableFault::Repeated { column }
        }
    );
    for path in [env::temp_dir(), env::temp_dir().join("no such file.csv")] {
        assert!(matches!(csv().read(path), Err(Error::Source { .. })));
    }
}

/// A row of more than 16 MiB is refused, not held in memory.
#[test]
fn rows_have_a_longest_length() {
    let mut bytes = b"mass,year,sex\n1,2,\"".to_vec();
    bytes.resize((16 << 20) + 100, b'\n');
    let refused = csv().from_bytes(&bytes).unwrap_err().to_string();
    assert_eq!(
        refused,
        "the CSV, line 2: a row has more than 16 MiB, expected less"
    );
}

fn folder(name: &str) -> PathBuf {
    let folder = env::temp_dir().join(format!("{name}-{}", process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Many parts of a file go through a pipeline to a source.
#[test]
fn a_file_is_streamed_to_a_source() {
    let folder = folder("streamed");
    let (from, to) = (folder.join("rows.csv"), folder.join("rows.bin"));
    let rows = 200_000;
    let mut text = String::from("mass,year,sex\n");
    for k in 0..rows {
        let sex = ["male", "female"][k % 2];
        text.push_str(&format!("{k},{},{sex}\n", k % 7));
    }
    fs::write(&from, &text).unwrap();
    let table = csv().read(&from).unwrap();
    let steps = [
        Steps::of(["year", "mass"]).standardize(),
        Steps::of(["sex"]),
    ];
    let pipeline = Pipeline::<f32>::fit(&table, &steps).unwrap();
    let mut parts = 0;
    let streamed = csv().stream(&from, &to, |part| {
        parts += 1;
        pipeline.apply(part)
    });
    assert_eq!(streamed, Ok(rows));
    assert!((2..20).contains(&parts), "{parts}");

    let file = RowFile::raw(&to, Number::F32, pipeline.rows()).unwrap();
    let source = FileSource::<f32>::joined(file, 3).unwrap();
    let x = pipeline.apply(&table).unwrap();
    assert_eq!(source.len(), rows);
    for k in [0, 1, 99_999, 150_001, rows - 1] {
        let (mut inputs, mut target) = ([0.0; 3], [0.0; 1]);
        let into = ReadInto::new(&mut inputs, &mut target, &mut []);
        source.read(&[k], into).unwrap();
        assert_eq!(
            [&inputs[..], &target[..]].concat(),
            x.column(k).as_slice(),
            "row {k}"
        );
    }

    // An error leaves the file as it was, and counts rows from the first.
    let before = fs::read(&to).unwrap();
    fs::write(&from, text.clone() + "1,2,unknown\n").unwrap();
    let refused = csv()
        .stream(&from, &to, |part| pipeline.apply(part))
        .unwrap_err();
    let text = "column \"sex\", example 200000: the category \"unknown\" is unknown";
    assert!(refused.to_string().starts_with(text), "{refused}");
    let refused = csv().stream(&from, &to, |_| Ok(DMatrix::<f32>::zeros(1, 1)));
    assert!(matches!(refused, Err(Error::Shape { .. })));
    fs::write(&from, "mass,year,sex\n1,2\n").unwrap();
    let refused = csv()
        .stream(&from, &to, |part| pipeline.apply(part))
        .unwrap_err();
    let text = format!(
        "{}, line 2: the row has 2 cells, expected 3",
        from.display()
    );
    assert!(refused.to_string().starts_with(&text), "{refused}");
    let refused = csv().stream(&from, folder.join("none/x.bin"), |part| {
        pipeline.apply(part)
    });
    assert!(matches!(refused, Err(Error::Source { .. })));
    assert_eq!(fs::read(&to).unwrap(), before);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    fs::remove_dir_all(folder).unwrap();
}
