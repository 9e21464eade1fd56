use pipehat_dictionary::Version;
use pipehat_testdata::{Generator, Selection, Settings};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let v = Version::named(a[1].as_bytes()).unwrap();
    let mut g = Generator::new(Settings::new(v)).unwrap();
    let n: usize = a[3].parse().unwrap();
    let s = Selection::parse(&a[2], v).unwrap();
    let mut out = Vec::new();
    let t = std::time::Instant::now();
    let mut bytes = 0;
    for _ in 0..n {
        if n > 1000 {
            bytes += out.len();
            out.clear();
        }
        g.append(&s, &mut out);
        if n <= 1000 {
            out.push(b'\n');
        }
    }
    if n > 1000 {
        eprintln!(
            "{:?} {:.0}/s {} bytes each",
            t.elapsed(),
            n as f64 / t.elapsed().as_secs_f64(),
            bytes / n
        );
        return;
    }
    let text: Vec<u8> = out.iter().map(|b| if *b == 13 { 10 } else { *b }).collect();
    use std::io::Write;
    std::io::stdout().write_all(&text).unwrap();
}
