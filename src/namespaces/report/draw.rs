//! Charts as SVG and as pixels. Pure: the same chart gives the same bytes everywhere, with a font of our own.
//!
//! The layout is ours, in units that pixels multiply; plotters draws its lines, areas and letters.

use std::io::Write;
use std::sync::Once;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::chart::{Chart, Kind};
use super::scale::{Scale, shown};

/// Told apart also by who sees few colours (Okabe and Ito), the last a grey.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 94, 160),
    RGBColor(110, 110, 110),
];
const INK: RGBColor = RGBColor(33, 37, 41);
const QUIET: RGBColor = RGBColor(108, 117, 125);
const GRID: RGBColor = RGBColor(226, 230, 234);
/// Pixels to a unit of a picture: sharp on the screens of today.
pub const PIXELS: u32 = 2;

const FAMILY: &str = "sans-serif";

fn load_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let fonts: [(FontStyle, &[u8]); 2] = [
            (FontStyle::Normal, include_bytes!("sans.ttf")),
            (FontStyle::Bold, include_bytes!("sans-Bold.ttf")),
        ];
        for (style, bytes) in fonts {
            register_font(FAMILY, style, bytes)
                .map_err(|_| ())
                .expect("the fonts are whole");
        }
    });
}

/// The chart as an SVG text.
pub fn svg(chart: &Chart) -> String {
    load_fonts();
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (chart.width, chart.height)).into_drawing_area();
        Drawing {
            area: &area,
            chart,
            unit: 1,
        }
        .draw()
        .expect("memory takes all that is drawn");
        area.present().expect("memory takes all that is drawn");
    }
    text
}

/// The chart as a PNG, with twice as many pixels as it has units.
pub fn png(chart: &Chart) -> Vec<u8> {
    load_fonts();
    let (width, height) = (chart.width * PIXELS, chart.height * PIXELS);
    let mut pixels = vec![255; (width * height * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        Drawing {
            area: &area,
            chart,
            unit: PIXELS as i32,
        }
        .draw()
        .expect("memory takes all that is drawn");
        area.present().expect("memory takes all that is drawn");
    }
    encode(&pixels, width, height)
}

/// Pixels as PNG (ISO 15948): eight bits a colour, each row as the difference to the one above.
fn encode(pixels: &[u8], width: u32, height: u32) -> Vec<u8> {
    let row_bytes = width as usize * 3;
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::new(6));
    let above = vec![0; row_bytes];
    let mut above = above.as_slice();
    for row in pixels.chunks_exact(row_bytes) {
        let mut filtered = vec![2];
        filtered.extend(row.iter().zip(above).map(|(byte, above)| byte.wrapping_sub(*above)));
        zlib.write_all(&filtered).expect("memory takes all that is written");
        above = row;
    }
    let data = zlib.finish().expect("memory takes all that is written");
    let mut head = [width.to_be_bytes(), height.to_be_bytes()].concat();
    head.extend([8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in [(b"IHDR", head.as_slice()), (b"IDAT", data.as_slice()), (b"IEND", &[])] {
        png.extend((data.len() as u32).to_be_bytes());
        let named = [name.as_slice(), data].concat();
        png.extend(&named);
        png.extend(crc32fast::hash(&named).to_be_bytes());
    }
    png
}

type Drawn<DB> = Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

/// One chart on its way to the page.
struct Drawing<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    chart: &'a Chart,
    /// Pixels to a unit.
    unit: i32,
}

/// Where the numbers are drawn.
#[derive(Clone, Copy)]
struct Plot {
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

impl<DB: DrawingBackend> Drawing<'_, DB> {
    fn draw(&self) -> Drawn<DB> {
        let chart = self.chart;
        self.area.fill(&WHITE)?;
        let u = self.unit;
        let (width, height) = ((chart.width as i32) * u, (chart.height as i32) * u);
        let mut top = 16 * u;
        if !chart.title.is_empty() {
            self.text(&chart.title, (16 * u, top), 17, &INK, FontStyle::Bold, HPos::Left)?;
            top += 28 * u;
        }
        if chart.series.iter().any(|series| !series.name.is_empty()) {
            self.legend(top, width)?;
            top += 22 * u;
        }
        if !chart.unit.is_empty() {
            self.text(&chart.unit, (16 * u, top), 11, &QUIET, FontStyle::Normal, HPos::Left)?;
            top += 18 * u;
        }
        let from_zero = chart.kind != Kind::Line;
        let values = chart
            .series
            .iter()
            .flat_map(|series| series.values.iter().flatten().copied());
        let scale = Scale::of(values, from_zero, (height / u / 60).clamp(2, 8) as usize);
        let ticks: Vec<(f64, String)> = scale
            .ticks()
            .into_iter()
            .map(|tick| (tick, shown(tick, scale.step)))
            .collect();
        let widest = ticks.iter().map(|(_, text)| self.width_of(text, 11)).max().unwrap_or(0);
        let plot = Plot {
            left: 16 * u + widest + 8 * u,
            right: width - 20 * u,
            top: top + 6 * u,
            bottom: height - 34 * u,
        };
        let y = |value: f64| plot.bottom - ((plot.bottom - plot.top) as f64 * scale.share(value)).round() as i32;
        for (tick, text) in &ticks {
            let line = if *tick == 0.0 { QUIET } else { GRID };
            self.line(&[(plot.left, y(*tick)), (plot.right, y(*tick))], &line, 1)?;
            let at = (plot.left - 8 * u, y(*tick) - 4 * u);
            self.text(text, at, 11, &QUIET, FontStyle::Normal, HPos::Right)?;
        }
        self.labels(plot)?;
        let base = y(scale.nearest_to_zero());
        match chart.kind {
            Kind::Bar => self.bars(plot, base, &y),
            Kind::Line => self.lines(plot, None, &y),
            Kind::Area => self.lines(plot, Some(base), &y),
        }
    }

    fn style<'c>(&self, size: i32, colour: &'c RGBColor, style: FontStyle) -> TextStyle<'c> {
        let font = FontDesc::new(FontFamily::SansSerif, f64::from(size * self.unit), style);
        TextStyle::from(font).color(colour)
    }

    fn width_of(&self, text: &str, size: i32) -> i32 {
        let style = self.style(size, &INK, FontStyle::Normal);
        self.area
            .estimate_text_size(text, &style)
            .map_or(0, |(width, _)| width as i32)
    }

    fn text(
        &self,
        text: &str,
        at: (i32, i32),
        size: i32,
        colour: &RGBColor,
        style: FontStyle,
        side: HPos,
    ) -> Drawn<DB> {
        let style = self.style(size, colour, style).pos(Pos::new(side, VPos::Top));
        // Pixels are laid out from the top of the letters, an SVG from above it: both are to stand at the same height.
        let lower = if self.unit > 1 { size * self.unit / 5 } else { 0 };
        let at = (at.0, at.1 + lower);
        self.area.draw(&Text::new(text.to_owned(), at, style))
    }

    fn line(&self, points: &[(i32, i32)], colour: &RGBColor, width: u32) -> Drawn<DB> {
        let style = ShapeStyle::from(colour).stroke_width(width * self.unit as u32);
        self.area.draw(&PathElement::new(points.to_vec(), style))
    }

    fn legend(&self, top: i32, width: i32) -> Drawn<DB> {
        let u = self.unit;
        let mut left = 16 * u;
        for (series, colour) in self.chart.series.iter().zip(COLOURS) {
            let wide = self.width_of(&series.name, 12);
            if left + 18 * u + wide > width - 16 * u {
                break;
            }
            let mark = [(left, top - u), (left + 12 * u, top + 11 * u)];
            self.area.draw(&Rectangle::new(mark, colour.filled()))?;
            self.text(
                &series.name,
                (left + 18 * u, top),
                12,
                &INK,
                FontStyle::Normal,
                HPos::Left,
            )?;
            left += 18 * u + wide + 20 * u;
        }
        Ok(())
    }

    /// The middle of a point's place.
    fn x(&self, plot: Plot, index: usize) -> i32 {
        let (count, wide) = (self.chart.labels.len(), f64::from(plot.right - plot.left));
        let share = match (self.chart.kind, count) {
            (Kind::Bar, _) | (_, 1) => (index as f64 + 0.5) / count as f64,
            _ => index as f64 / (count - 1) as f64,
        };
        plot.left + (wide * share).round() as i32
    }

    /// As many labels as there is room for, always with the first.
    fn labels(&self, plot: Plot) -> Drawn<DB> {
        let u = self.unit;
        let labels = &self.chart.labels;
        let widest = labels.iter().map(|label| self.width_of(label, 11)).max().unwrap_or(0) + 14 * u;
        let room = ((plot.right - plot.left) / widest.max(1)).max(1) as usize;
        let every = labels.len().div_ceil(room);
        for (index, label) in labels.iter().enumerate().step_by(every) {
            let half = self.width_of(label, 11) / 2;
            // The outermost stay within the picture.
            let middle = self
                .x(plot, index)
                .clamp(half + 4 * u, (plot.right + 16 * u - half).max(half + 4 * u));
            self.text(
                label,
                (middle, plot.bottom + 10 * u),
                11,
                &QUIET,
                FontStyle::Normal,
                HPos::Center,
            )?;
        }
        Ok(())
    }

    fn bars(&self, plot: Plot, base: i32, y: &dyn Fn(f64) -> i32) -> Drawn<DB> {
        let chart = self.chart;
        let place = f64::from(plot.right - plot.left) / chart.labels.len() as f64;
        let group = (place * 0.72).clamp(1.0, f64::from(90 * self.unit * chart.series.len() as i32));
        let bar = group / chart.series.len() as f64;
        for (at, (series, colour)) in chart.series.iter().zip(COLOURS).enumerate() {
            for (index, value) in series.values.iter().enumerate() {
                let Some(value) = value else { continue };
                let left = f64::from(self.x(plot, index)) - group / 2.0 + bar * at as f64;
                let gap = if bar > f64::from(6 * self.unit) {
                    f64::from(self.unit)
                } else {
                    0.0
                };
                let (left, right) = (left.round() as i32, (left + bar - gap).round() as i32);
                self.area.draw(&Rectangle::new(
                    [(left, y(*value)), (right.max(left + 1), base)],
                    colour.filled(),
                ))?;
            }
        }
        Ok(())
    }

    fn lines(&self, plot: Plot, base: Option<i32>, y: &dyn Fn(f64) -> i32) -> Drawn<DB> {
        let rows = || self.chart.series.iter().zip(COLOURS);
        let parts = |values: &[Option<f64>]| {
            let place = |(index, value): (usize, &Option<f64>)| value.map(|value| (self.x(plot, index), y(value)));
            let points: Vec<Option<(i32, i32)>> = values.iter().enumerate().map(place).collect();
            let parts = points.split(Option::is_none).filter(|part| !part.is_empty());
            parts
                .map(|part| part.iter().copied().flatten().collect())
                .collect::<Vec<Vec<(i32, i32)>>>()
        };
        // All areas first, so that no line is seen through one.
        for (series, colour) in rows() {
            for mut around in parts(&series.values) {
                if let (Some(base), Some(first), Some(last)) = (base, around.first().copied(), around.last().copied()) {
                    around.extend([(last.0, base), (first.0, base)]);
                    self.area.draw(&Polygon::new(around, colour.mix(0.18).filled()))?;
                }
            }
        }
        for (series, colour) in rows() {
            for part in parts(&series.values) {
                self.line(&part, &colour, 2)?;
                // Single points would not be seen, and a few are worth seeing.
                if part.len() == 1 || series.values.len() <= 31 {
                    for point in part {
                        self.area.draw(&Circle::new(point, 3 * self.unit, colour.filled()))?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::chart::Series;
    use super::*;

    fn chart(kind: Kind) -> Chart {
        let series = |name: &str, values: &[f64]| Series {
            name: name.to_owned(),
            values: values.iter().copied().map(Some).collect(),
        };
        Chart {
            kind,
            title: "Views & <clicks>".to_owned(),
            unit: "thousands".to_owned(),
            labels: ["Mon", "Tue", "Wed", "Thu"].map(str::to_owned).to_vec(),
            series: vec![
                series("TikTok", &[12.0, 18.5, 7.0, 22.0]),
                series("Instagram", &[9.0, -3.0, 14.0, 11.0]),
            ],
            width: 640,
            height: 320,
        }
    }

    #[test]
    fn the_same_chart_gives_the_same_bytes_and_a_picture_of_its_size() {
        for kind in [Kind::Line, Kind::Area, Kind::Bar] {
            let first = png(&chart(kind));
            assert_eq!(first, png(&chart(kind)));
            assert_eq!(first[..8], *b"\x89PNG\r\n\x1a\n");
            assert_eq!(
                (&first[16..20], &first[20..24]),
                (&1280_u32.to_be_bytes()[..], &640_u32.to_be_bytes()[..])
            );
            assert_eq!(svg(&chart(kind)), svg(&chart(kind)));
        }
    }

    #[test]
    fn texts_in_an_svg_are_texts() {
        let svg = svg(&chart(Kind::Bar));
        assert!(svg.contains("Views &amp; &lt;clicks&gt;"), "{svg}");
        assert!(!svg.contains("<clicks>"));
    }

    #[test]
    fn charts_of_every_size_and_number_are_drawn() {
        for values in [
            vec![Some(0.0)],
            vec![None, Some(-1e300), Some(1e300)],
            vec![Some(1e-300); 2000],
            vec![None; 3],
        ] {
            for kind in [Kind::Line, Kind::Area, Kind::Bar] {
                let labels = vec!["a long label that has no room".to_owned(); values.len()];
                let series = vec![
                    Series {
                        name: "x".repeat(120),
                        values: values.clone()
                    };
                    8
                ];
                let chart = Chart {
                    labels,
                    series,
                    width: 200,
                    height: 120,
                    ..chart(kind)
                };
                assert!(svg(&chart).ends_with("</svg>\n") && !png(&chart).is_empty());
            }
        }
    }
}
