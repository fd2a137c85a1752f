//! The PROXY protocol, versions 1 and 2: a proxy in front tells whose connection it passes on.
//!
//! [`decode`] is pure. It is strict, since who can send a header decides what addresses are believed: listeners expect one
//! only where the configuration says so, and a connection without a right one is closed (proxy-protocol.txt of HAProxy, 2 and
//! 2.1: a receiver must not guess).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Longest header of version 1, with its CRLF (2.1 of the text).
const MAX_V1: usize = 107;
/// What version 2 begins with; nothing that version 1 or HTTP could begin with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of version 2 before the addresses.
const V2_HEAD: usize = 16;
/// Longest rest of version 2 that is taken: addresses and extensions, which real senders keep far below.
const MAX_V2: usize = 4096;

/// Whose connection a proxy passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proxied {
    /// The proxy speaks for itself, as for a health check, or does not know: the socket's address counts.
    Own,
    /// That of this client. The address that it connected to has to be right as well, but serves nothing here.
    Client(SocketAddr),
}

/// Not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no right header of the PROXY protocol: {0}")]
pub(crate) struct BadHeader(&'static str);

const SHORT: BadHeader = BadHeader("the addresses are too short");

/// Reads a header at the beginning of some bytes, and how long it is; `None` if more bytes are needed.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Proxied, usize)>, BadHeader> {
    let common = bytes.len().min(SIGNATURE.len());
    if bytes[..common] == SIGNATURE[..common] && common > 0 {
        return decode_v2(bytes);
    }
    let prefix = b"PROXY ";
    let common = bytes.len().min(prefix.len());
    if bytes[..common] != prefix[..common] {
        return Err(BadHeader("neither version 1 nor 2"));
    }
    decode_v1(bytes)
}

/// `PROXY TCP4 SOURCE DESTINATION SOURCE_PORT DESTINATION_PORT CRLF`, with single blanks; or `PROXY UNKNOWN ... CRLF`.
fn decode_v1(bytes: &[u8]) -> Result<Option<(Proxied, usize)>, BadHeader> {
    let head = &bytes[..bytes.len().min(MAX_V1)];
    let Some(end) = head.iter().position(|byte| *byte == b'\n') else {
        return if bytes.len() >= MAX_V1 { Err(BadHeader("the line is too long")) } else { Ok(None) };
    };
    let line = head[..end].strip_suffix(b"\r").ok_or(BadHeader("the line does not end in CRLF"))?;
    let line = std::str::from_utf8(line).map_err(|_| BadHeader("the line is not ASCII"))?;
    let mut words = line.split(' ').skip(1);
    let proxied = match words.next() {
        Some("UNKNOWN") => return Ok(Some((Proxied::Own, end + 1))),
        Some("TCP4") => ends::<Ipv4Addr>(&mut words)?,
        Some("TCP6") => ends::<Ipv6Addr>(&mut words)?,
        _ => return Err(BadHeader("the family is not TCP4, TCP6 or UNKNOWN")),
    };
    if words.next().is_some() {
        return Err(BadHeader("there is more after the ports"));
    }
    Ok(Some((proxied, end + 1)))
}

fn ends<'a, A>(words: &mut impl Iterator<Item = &'a str>) -> Result<Proxied, BadHeader>
where
    A: FromStr + Into<IpAddr>,
{
    let bad = BadHeader("an address or a port is wrong");
    let mut ip = || words.next().and_then(|word| word.parse::<A>().ok()).map(Into::into).ok_or(bad);
    let (source, _destination) = (ip()?, ip()?);
    let mut port = || words.next().and_then(port).ok_or(bad);
    let (source_port, _destination_port) = (port()?, port()?);
    Ok(Proxied::Client(SocketAddr::new(source, source_port)))
}

/// Decimal without sign or leading zeros.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word.len() == 1 || !word.starts_with('0'));
    word.parse().ok().filter(|_| plain)
}

/// Signature, version and command, family and protocol, length (big endian), addresses, extensions.
fn decode_v2(bytes: &[u8]) -> Result<Option<(Proxied, usize)>, BadHeader> {
    let Some((head, rest)) = bytes.split_first_chunk::<V2_HEAD>() else { return Ok(None) };
    let [.., command, family, high, low] = *head;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > MAX_V2 {
        return Err(BadHeader("the header is too long"));
    }
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(BadHeader("the version is not 2, or the command is neither LOCAL nor PROXY")),
    };
    let v4 = match family {
        // Unspecified, and what cannot be for a stream over IP: the receiver has to take them for its own (2.2).
        0x00 | 0x31 => None,
        0x11 => Some(true),
        0x21 => Some(false),
        _ => return Err(BadHeader("the family or protocol is not a stream's")),
    };
    let Some(rest) = rest.get(..len) else { return Ok(None) };
    let end = V2_HEAD + len;
    let proxied = match v4 {
        _ if is_local => Proxied::Own,
        None => Proxied::Own,
        Some(true) => {
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *rest.first_chunk().ok_or(SHORT)?;
            Proxied::Client(SocketAddr::new(
                Ipv4Addr::new(a, b, c, d).into(),
                u16::from_be_bytes([high, low]),
            ))
        }
        Some(false) => {
            let [ip @ .., high, low, _, _]: [u8; 36] = *rest.first_chunk().ok_or(SHORT)?;
            let (source, _destination) = ip.split_first_chunk::<16>().ok_or(SHORT)?;
            let ip = IpAddr::from(Ipv6Addr::from(*source)).to_canonical();
            Proxied::Client(SocketAddr::new(ip, u16::from_be_bytes([high, low])))
        }
    };
    Ok(Some((proxied, end)))
}

/// Takes the header off a connection, and not a byte more.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Proxied> {
    let mut bytes = Vec::with_capacity(MAX_V1);
    loop {
        let taken = bytes.len();
        // Enough for any header of version 1, and for most of version 2.
        bytes.resize(taken + 512, 0);
        let more = stream.peek(&mut bytes[taken..]).await?;
        if more == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.truncate(taken + more);
        let decoded = decode(&bytes).map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad))?;
        // What is part of the header for sure is taken, so that the next look waits for more.
        let end = decoded.map_or(bytes.len(), |(_, len)| len);
        stream.read_exact(&mut bytes[taken..end]).await?;
        if let Some((proxied, _)) = decoded {
            return Ok(proxied);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BadHeader, MAX_V1, Proxied, SIGNATURE, decode};

    fn client(source: &str) -> Proxied {
        Proxied::Client(source.parse().unwrap())
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    /// Every prefix needs more, and what follows is left alone.
    fn check(header: &[u8], expected: Proxied) {
        for len in 0..header.len() {
            assert_eq!(decode(&header[..len]), Ok(None), "{len} of {header:?}");
        }
        let mut longer = header.to_vec();
        longer.extend(b"GET / HTTP/1.1\r\n");
        assert_eq!(decode(&longer), Ok(Some((expected, header.len()))), "{header:?}");
    }

    #[test]
    fn version_1_is_read() {
        check(b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", client("192.168.0.1:56324"));
        check(b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", client("[2001:db8::1]:0"));
        check(b"PROXY UNKNOWN\r\n", Proxied::Own);
        check(b"PROXY UNKNOWN ff:: anything 1 2\r\n", Proxied::Own);
        let longest = format!("PROXY TCP6 {0} {0} 65535 65535\r\n", "ffff:".repeat(8).trim_end_matches(':'));
        assert!(longest.len() <= MAX_V1);
        assert!(decode(longest.as_bytes()).unwrap().is_some());
    }

    #[test]
    fn version_2_is_read() {
        let v4 = [192, 168, 0, 1, 10, 0, 0, 1, 0xdc, 0x04, 0x01, 0xbb];
        check(&v2(0x21, 0x11, &v4), client("192.168.0.1:56324"));
        let with_extension = [&v4[..], &[0x03, 0, 4, 1, 2, 3, 4]].concat();
        check(&v2(0x21, 0x11, &with_extension), client("192.168.0.1:56324"));
        let mut v6 = vec![0x20, 0x01, 0x0d, 0xb8];
        v6.extend([0; 11]);
        v6.push(1);
        v6.extend([0; 10]);
        v6.extend([0xff, 0xff, 10, 0, 0, 1]);
        v6.extend([0, 80, 0x01, 0xbb]);
        check(&v2(0x21, 0x21, &v6), client("[2001:db8::1]:80"));
        check(&v2(0x20, 0x11, &v4), Proxied::Own);
        check(&v2(0x20, 0x00, &[]), Proxied::Own);
        check(&v2(0x21, 0x00, &[1, 2, 3]), Proxied::Own);
        check(&v2(0x21, 0x31, &[0; 216]), Proxied::Own);
    }

    #[test]
    fn what_is_not_right_is_refused() {
        for bad in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
            b"PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
            b"PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
            b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
            b"proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
            b"PROXY \xff\r\n",
            b"PROXY \r\n",
            &[b'P'; 200],
            &v2(0x22, 0x11, &[0; 12]),
            &v2(0x11, 0x11, &[0; 12]),
            &v2(0x21, 0x12, &[0; 12]),
            &v2(0x21, 0x11, &[0; 11]),
            &v2(0x21, 0x21, &[0; 35]),
            &v2(0x21, 0x11, &[0; 5000]),
        ] {
            assert!(matches!(decode(bad), Err(BadHeader(_))), "{bad:?}");
        }
        let endless = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat();
        assert!(decode(&endless).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_no_header_is_longer_than_what_came(
            start in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 ", SIGNATURE]),
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = [start, &rest].concat();
            if let Ok(Some((_, len))) = decode(&bytes) {
                prop_assert!(len <= bytes.len());
            }
        }

        #[test]
        fn what_a_proxy_writes_is_what_is_read(
            source: (std::net::IpAddr, u16),
            destination: (std::net::IpAddr, u16),
        ) {
            let family = match (source.0.is_ipv4(), destination.0.is_ipv4()) {
                (true, true) => "TCP4",
                (false, false) => "TCP6",
                _ => return Ok(()),
            };
            let line = format!(
                "PROXY {family} {} {} {} {}\r\n", source.0, destination.0, source.1, destination.1
            );
            let expected = Proxied::Client(source.into());
            prop_assert_eq!(decode(line.as_bytes()), Ok(Some((expected, line.len()))));
        }

        #[test]
        fn more_bytes_never_change_a_decision(
            start in prop::sample::select(vec![&b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"[..], b"PROXY UNKNOWN ", SIGNATURE]),
            rest in prop::collection::vec(any::<u8>(), 0..60),
            more in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let bytes = [start, &rest].concat();
            let before = decode(&bytes);
            if before != Ok(None) {
                prop_assert_eq!(before, decode(&[bytes, more].concat()));
            }
        }
    }
}
