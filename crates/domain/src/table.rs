//! Cases of tests as text: one per line, columns divided by ` | `.

/// The lines of a table, each in its columns. `<12x>` stands for twelve times the character before `>`.
pub(crate) fn rows<const COLUMNS: usize>(table: &str) -> Vec<[String; COLUMNS]> {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let columns: Vec<String> = line.split(" | ").map(|column| expanded(column.trim())).collect();
            let found = columns.len();
            columns.try_into().unwrap_or_else(|_| panic!("{found} columns in {line}"))
        })
        .collect()
}

fn expanded(column: &str) -> String {
    let Some((before, rest)) = column.split_once('<') else {
        return column.to_owned();
    };
    let (count, after) = rest.split_once('>').unwrap_or_else(|| panic!("no > in {column}"));
    let repeated = count.trim_start_matches(|character: char| character.is_ascii_digit());
    let times: usize = count[..count.len() - repeated.len()].parse().unwrap_or_else(|_| panic!("no count in {column}"));
    format!("{before}{}{}", repeated.repeat(times), expanded(after))
}

#[test]
fn rows_are_lines_in_columns() {
    let table = rows::<2>("\n a | b \n\n x<3y>z<2ab> | \"|\"\n");
    assert_eq!(table, [["a".to_owned(), "b".to_owned()], ["xyyyzabab".to_owned(), "\"|\"".to_owned()]]);
}
