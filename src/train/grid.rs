//! Markdown tables whose columns line up, so that they read in a terminal as they are.

/// The first row is the header; short rows are filled up with empty cells.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &[String], column: usize| row.get(column).map_or("", String::as_str).replace('|', "\\|");
    let width = |column| rows.iter().map(|row| cell(row, column).chars().count()).max().unwrap_or(0).max(3);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let padded = |row: &Vec<String>| line(widths.iter().enumerate().map(|(at, width)| format!("{:<width$}", cell(row, at))).collect());
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        text.push_str(&padded(row));
        if at == 0 {
            text.push_str(&line(widths.iter().map(|width| "-".repeat(*width)).collect()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["figure", "a"], vec!["macro_f1", "0.5"], vec!["x|y"]];
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect();
        assert_eq!(table(&rows), "| figure   | a   |\n| -------- | --- |\n| macro_f1 | 0.5 |\n| x\\|y     |     |\n");
        assert_eq!(table(&[]), "");
    }
}
