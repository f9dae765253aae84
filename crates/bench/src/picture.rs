//! The figures as a picture: each a bar from its goal, on a logarithmic scale, right of the line where it holds.

use std::fmt::Write as _;

use crate::report::Row;

const WIDTH: f64 = 960.0;
const LABEL: f64 = 430.0;
const LINE: f64 = 24.0;
const TOP: f64 = 48.0;
/// The scale goes from a tenth of the goal to ten times it.
const REACH: f64 = 10.0;

/// An SVG of every figure that has a goal.
pub fn draw(rows: &[Row]) -> String {
    let bars: Vec<(String, f64, String)> = rows
        .iter()
        .flat_map(|row| row.figures.iter().map(move |figure| (row.name, figure)))
        .filter_map(|(row, figure)| {
            let margin = figure.margin()?;
            Some((format!("{row}: {}", figure.name), margin, format!("{:.3} {}", figure.measured, figure.unit)))
        })
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a handful of bars")]
    let height = LINE.mul_add(bars.len() as f64, TOP + 16.0);
    let middle = LABEL + (WIDTH - LABEL) / 2.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{middle}\" y=\"20\" text-anchor=\"middle\">goal</text>\n\
         <text x=\"{LABEL}\" y=\"36\">a tenth</text><text x=\"{WIDTH}\" y=\"36\" text-anchor=\"end\">ten times as good</text>\n"
    );
    let mut y = TOP;
    for (label, margin, measured) in bars {
        let end = middle + (WIDTH - LABEL) / 2.0 * (margin.log(REACH)).clamp(-1.0, 1.0);
        let (from, to) = if end < middle { (end, middle) } else { (middle, end) };
        let color = if margin >= 1.0 { "#2e7d32" } else { "#c62828" };
        // Writing to a string does not fail.
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{from:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" fill=\"{color}\"/>\
             <title>{}</title>",
            LABEL - 8.0,
            y + 14.0,
            escaped(&format!("{label} ({measured})")),
            y + 3.0,
            (to - from).max(1.0),
            LINE - 8.0,
            escaped(&measured),
        );
        y += LINE;
    }
    let _ = writeln!(svg, "<line x1=\"{middle}\" x2=\"{middle}\" y1=\"26\" y2=\"{height}\" stroke=\"black\"/>\n</svg>");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_goes_right_where_the_goal_is_met_and_left_where_not() {
        let mut row = Row::new("exits", "");
        row.at_least("rate & more", 10_000.0, "exits/s", 5_000.0);
        row.at_most("p95", 100.0, "ms", 50.0);
        row.tell("floor", 3.0, "x");
        let svg = draw(&[row]);
        assert_eq!((svg.matches("#2e7d32").count(), svg.matches("#c62828").count()), (1, 1), "{svg}");
        assert!(svg.contains("rate &amp; more") && svg.ends_with("</svg>\n"));
    }
}
