//! What must hold of each fault of a document, whatever the document is. Included by the fuzz targets of documents.

use flyball_documents::DocumentFaults;
use flyball_model::is_hidden;

/// Each fault has its line, a person can read it, and a terminal obeys nothing in it.
pub fn fit(faults: &DocumentFaults) {
    let lines = faults.lines();
    assert!(!lines.is_empty() && lines.len() <= 101, "{} faults", lines.len());
    for line in lines {
        assert!(line.starts_with("any.yaml:") && line.len() < 8_192, "{line}");
        assert!(!line.chars().any(is_hidden), "{line:?}");
    }
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor());
    for fault in faults.iter().take(3) {
        let mut shown = String::new();
        handler.render_report(&mut shown, fault).expect("a fault can be shown");
        assert!(!shown.chars().any(|letter| letter != '\n' && letter != '\t' && is_hidden(letter)), "{shown:?}");
    }
}
