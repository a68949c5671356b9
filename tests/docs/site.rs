//! `docs/` as a site: pages in HTML from those in Markdown, and a front page of what there is.

use crate::assert_rendered;
use crate::render::{definitions, derivation, path, read};
use pulldown_cmark::{Options, Parser, html};

/// The pages, with the words of the front page about them.
const PAGES: [(&str, &str); 4] = [
    (
        "derivation",
        "The calculus, step by step from the chain rule, with the function for each formula.",
    ),
    (
        "conventions",
        "The symbols and shapes, and how other libraries differ.",
    ),
    ("json", "The format of a network, for other programs."),
    ("scaling", "Training on several processes and machines."),
];

/// The pictures of the front page.
const PICTURES: [(&str, &str); 4] = [
    (
        "learning_curve.svg",
        "Digits: the cost, and the images misclassified, by iteration of L-BFGS.",
    ),
    (
        "hidden_units.png",
        "Digits: the weights of the 25 hidden units, each as an image of 8 × 8 pixels.",
    ),
    (
        "flow.svg",
        "Data flow forward through the layers, and errors back through the same weights.",
    ),
    (
        "unit.svg",
        "One unit: its errors come back through the weights and are added.",
    ),
];

const STYLE: &str = "\
:root { color-scheme: light dark; }
body { max-width: 52rem; margin: 0 auto; padding: 1rem; font: 16px/1.55 system-ui, sans-serif; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
pre, table { overflow-x: auto; display: block; }
pre { padding: 0.6rem; border: 1px solid #8886; border-radius: 6px; }
td, th { padding: 0.2rem 0.6rem; border-bottom: 1px solid #8886; text-align: left;
  vertical-align: top; }
code { overflow-wrap: anywhere; }
figure { margin: 1rem 0; }
a { color: #1a56c4; }
@media (prefers-color-scheme: dark) {
  body { background: #14171d; color: #e8eaee; }
  a { color: #8db4ff; }
}";

/// Returns a page around its body.
fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n\
         <style>\n{STYLE}\n</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// Returns the title of a page in Markdown.
fn title(markdown: &str) -> &str {
    let title = markdown.lines().next().unwrap();
    title.strip_prefix("# ").unwrap()
}

/// Returns the title of a page in HTML.
fn title_of(page: &str) -> &str {
    let (_, rest) = page.split_once("<title>").unwrap();
    rest.split_once("</title>").unwrap().0
}

/// Returns a page of `docs` as HTML. Links to other pages lead to their HTML.
fn converted(name: &str) -> String {
    let source = read(&format!("docs/{name}.md"));
    let markdown = match name {
        // With formulae in MathML. The links are those of the source.
        "derivation" => {
            let (rendered, links) = (derivation(&source), definitions(&source));
            let lines = rendered.lines().map(|line| match line.split_once("]: ") {
                Some((label, _)) if links.contains_key(&label[1..]) => {
                    format!("{label}]: {}\n", links[&label[1..]])
                }
                _ => format!("{line}\n"),
            });
            lines.collect()
        }
        _ => source.clone(),
    };
    let mut body = String::from("<p><a href=\"index.html\">All pages</a></p>\n");
    html::push_html(
        &mut body,
        Parser::new_ext(&markdown, Options::ENABLE_TABLES),
    );
    for (other, _) in PAGES {
        body = body.replace(
            &format!("href=\"{other}.md"),
            &format!("href=\"{other}.html"),
        );
    }
    page(title(&source), &body)
}

#[test]
fn the_site_is_that_of_its_sources() {
    let mut list = String::new();
    for (name, words) in PAGES {
        assert_rendered(&format!("docs/{name}.html"), &converted(name));
        let title = title(&read(&format!("docs/{name}.md"))).to_owned();
        list += &format!("<li><a href=\"{name}.html\">{title}</a>. {words}</li>\n");
    }
    let mut traces: Vec<String> = std::fs::read_dir(path("docs/traces"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    traces.sort();
    let mut live = String::new();
    for file in traces {
        let text = read(&format!("docs/traces/{file}"));
        let title = title_of(&text);
        live += &format!("<li><a href=\"traces/{file}\">{title}</a></li>\n");
    }
    let pictures = PICTURES.map(|(file, words)| {
        assert!(path(&format!("docs/figures/{file}")).exists(), "{file}");
        format!(
            "<figure><img src=\"figures/{file}\" alt=\"\"><figcaption>{words}</figcaption>\
             </figure>\n"
        )
    });
    let body = format!(
        "<h1>backprop</h1>\n<p>Back-propagation for feed-forward networks, in the notation of \
         Andrew Ng's course: the pages of the repository.</p>\n<h2>A pass to read, hover and \
         check</h2>\n<ul>\n{live}</ul>\n<figure><a href=\"traces/2-3-2.html\"><img \
         src=\"figures/page.png\" alt=\"A page of a pass\"></a></figure>\n\
         <h2>To read</h2>\n<ul>\n{list}</ul>\n<h2>Pictures</h2>\n{}",
        pictures.concat()
    );
    assert_rendered("docs/index.html", &page("backprop", &body));
}

/// The links of the site lead to files of the repository.
#[test]
fn links_of_the_site_lead_to_files() {
    let pages = PAGES.map(|(name, _)| format!("docs/{name}.html"));
    let mut seen = 0;
    for file in pages.into_iter().chain(["docs/index.html".to_owned()]) {
        let text = read(&file);
        let targets = text.split("href=\"").chain(text.split("src=\"")).skip(1);
        for target in targets.filter_map(|rest| rest.split('"').next()) {
            let target = target.split('#').next().unwrap();
            if target.is_empty() || target.starts_with("http") || target.starts_with("data:") {
                continue;
            }
            if target.contains(['<', ' ', '\n']) {
                continue; // the text before the first link
            }
            assert!(
                path("docs").join(target).exists(),
                "{file} links to {target}"
            );
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}
