//! Messages in a stream of bytes: `Content-Length: N`, an empty line, N bytes of JSON.
//!
//! What is no message is told and passed over where its end is known; only a stream whose frames are broken ends it.

use std::io::{BufRead, Read, Write};

use lsp_server::Message;

/// The longest message; a longer one is passed over.
pub const MESSAGE_BYTES_MAX: u64 = 16 << 20;

/// The longest line before a message.
const HEADER_BYTES_MAX: u64 = 4096;

/// Lines before a message at most.
const HEADERS_MAX: usize = 32;

/// What was read.
#[derive(Debug)]
pub enum Frame {
    Message(Message),
    /// A frame that holds no message, and why.
    Bad(String),
    /// The frames themselves cannot be told apart any more.
    Broken(String),
}

/// The next frame; `None` at the end of the stream.
pub fn read(input: &mut impl BufRead) -> Option<Frame> {
    let length = match length(input) {
        Ok(Some(length)) => length,
        Ok(None) => return None,
        Err(reason) => return Some(Frame::Broken(reason)),
    };
    if length > MESSAGE_BYTES_MAX {
        let skipped = std::io::copy(&mut input.take(length), &mut std::io::sink());
        return match skipped {
            Ok(skipped) if skipped == length => Some(Frame::Bad(format!(
                "the message has {length} bytes; at most {MESSAGE_BYTES_MAX} are read"
            ))),
            _ => None,
        };
    }
    let mut body = Vec::new();
    match input.take(length).read_to_end(&mut body) {
        Ok(read) if read as u64 == length => {}
        _ => return None,
    }
    Some(match serde_json::from_slice(&body) {
        Ok(message) => Frame::Message(message),
        Err(error) => Frame::Bad(format!("it is no message of JSON-RPC: {error}")),
    })
}

/// The length that the lines before a message give; `None` when the stream ends before them.
fn length(input: &mut impl BufRead) -> Result<Option<u64>, String> {
    let mut length = None;
    for _ in 0..HEADERS_MAX {
        let mut line = Vec::new();
        let read = input.take(HEADER_BYTES_MAX).read_until(b'\n', &mut line);
        match read {
            Ok(0) => return Ok(None),
            Ok(_) if line.ends_with(b"\n") => {}
            Ok(read) if (read as u64) < HEADER_BYTES_MAX => return Ok(None),
            Ok(_) => {
                return Err(format!(
                    "a line before a message is longer than {HEADER_BYTES_MAX} bytes"
                ));
            }
            Err(error) => return Err(error.to_string()),
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        if line.is_empty() {
            return match length {
                Some(length) => Ok(Some(length)),
                None => Err("a message begins without its Content-Length".to_owned()),
            };
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err(format!(
                "{:?} stands before a message",
                line.chars().take(60).collect::<String>()
            ));
        };
        if name.trim().eq_ignore_ascii_case("content-length") {
            let value = value.trim();
            length = Some(
                value
                    .parse()
                    .map_err(|_| format!("the Content-Length {value:?} is no number"))?,
            );
        }
    }
    Err(format!("more than {HEADERS_MAX} lines before a message"))
}

/// Writes one message.
pub fn write(output: &mut impl Write, message: Message) -> std::io::Result<()> {
    #[derive(serde::Serialize)]
    struct Framed {
        jsonrpc: &'static str,
        #[serde(flatten)]
        message: Message,
    }
    let framed = Framed {
        jsonrpc: "2.0",
        message,
    };
    write_json(output, &serde_json::to_vec(&framed)?)
}

/// Says that something could not be read: there is no id to answer to.
pub fn write_bad(output: &mut impl Write, reason: &str) -> std::io::Result<()> {
    let code = lsp_server::ErrorCode::ParseError as i32;
    let error = serde_json::json!({ "code": code, "message": reason });
    let answer = serde_json::json!({ "jsonrpc": "2.0", "id": null, "error": error });
    write_json(output, &serde_json::to_vec(&answer)?)
}

fn write_json(output: &mut impl Write, json: &[u8]) -> std::io::Result<()> {
    write!(output, "Content-Length: {}\r\n\r\n", json.len())?;
    output.write_all(json)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(stream: &str) -> Vec<String> {
        let mut input = stream.as_bytes();
        let mut shown = Vec::new();
        while let Some(frame) = read(&mut input) {
            let is_over = matches!(frame, Frame::Broken(_));
            shown.push(match frame {
                Frame::Message(Message::Request(request)) => format!("request {}", request.method),
                Frame::Message(Message::Notification(notification)) => notification.method,
                Frame::Message(Message::Response(response)) => format!("response {}", response.id),
                Frame::Bad(reason) => format!("bad: {reason}"),
                Frame::Broken(reason) => format!("broken: {reason}"),
            });
            if is_over {
                break;
            }
        }
        shown
    }

    fn framed(json: &str) -> String {
        format!("Content-Length: {}\r\n\r\n{json}", json.len())
    }

    #[test]
    fn what_is_no_message_is_passed_over_and_the_next_is_read() {
        let stream = [
            framed(r#"{"id":1,"method":"a"}"#),
            framed("{ no json"),
            framed(r#"{"method":"b"}"#),
            format!("content-length:14\r\nContent-Type: x\r\n\r\n{}", r#"{"method":"c"}"#),
        ];
        let shown = frames(&stream.concat());
        assert_eq!(shown.len(), 4, "{shown:?}");
        assert_eq!(
            (shown[0].as_str(), shown[2].as_str(), shown[3].as_str()),
            ("request a", "b", "c")
        );
        assert!(shown[1].starts_with("bad: it is no message of JSON-RPC"), "{shown:?}");
    }

    #[test]
    fn a_stream_without_frames_is_broken_and_one_that_ends_is_over() {
        assert_eq!(frames("hello\r\n\r\n"), ["broken: \"hello\" stands before a message"]);
        assert_eq!(frames("\r\n"), ["broken: a message begins without its Content-Length"]);
        assert_eq!(
            frames("Content-Length: -1\r\n\r\n"),
            ["broken: the Content-Length \"-1\" is no number"]
        );
        assert_eq!(
            frames(&"x".repeat(5000)),
            ["broken: a line before a message is longer than 4096 bytes"]
        );
        assert_eq!(frames(""), [""; 0]);
        assert_eq!(frames("Content-Length: 50\r\n\r\n{}"), [""; 0]);
    }

    #[test]
    fn a_message_that_is_too_long_is_not_kept() {
        let length = MESSAGE_BYTES_MAX + 1;
        let mut stream = format!("Content-Length: {length}\r\n\r\n").into_bytes();
        stream.resize(stream.len() + length as usize, b' ');
        stream.extend(framed(r#"{"method":"after"}"#).bytes());
        let mut input = stream.as_slice();
        assert!(matches!(read(&mut input), Some(Frame::Bad(_))));
        assert!(matches!(read(&mut input), Some(Frame::Message(_))));
    }
}
