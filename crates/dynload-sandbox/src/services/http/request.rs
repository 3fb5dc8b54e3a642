//! A request as the guest writes it, and where a redirect leads.

use super::{HttpError, network};
use serde_json::Value;
use std::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use ureq_proto::http::{
    self, HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header, uri::Scheme,
};

/// The maximum length of a request without its body.
const MAX_BYTES: usize = 64 << 10;

/// Headers with secrets of the origin that they are sent to.
const SECRETS: [HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// Headers that would change how the request is delimited, or what connects to whom.
const REFUSED: [HeaderName; 6] = [
    header::TRANSFER_ENCODING,
    header::EXPECT,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::PROXY_AUTHORIZATION,
];

/// A request, without its body.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) uri: Uri,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    /// Whether the body of the guest is sent.
    pub(super) has_body: bool,
}

impl Request {
    /// Parses the guest's JSON, for a request with a body of `len` bytes.
    pub(super) fn parse(json: &[u8], len: usize) -> Result<Request, HttpError> {
        let invalid = |why: String| HttpError::Request(why);
        if json.len() > MAX_BYTES {
            return Err(invalid(format!(
                "it has more than {MAX_BYTES} bytes, without its body"
            )));
        }
        let value: Value = serde_json::from_slice(json).map_err(|error| invalid(error.to_string()))?;
        let text = |name: &str| match value.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(format!("`{name}` is not a text"))),
        };
        let url = text("url")?.ok_or_else(|| invalid("it has no `url`".into()))?;
        let uri =
            checked(url.parse().map_err(|error: http::uri::InvalidUri| {
                invalid(format!("`{url}` is not a URL: {error}"))
            })?)?;
        let method = match text("method")? {
            None => Method::GET,
            // Names of methods are case-sensitive, but no method is in lower case.
            Some(name) => Method::from_bytes(name.to_ascii_uppercase().as_bytes())
                .ok()
                .filter(|method| *method != Method::CONNECT && *method != Method::TRACE)
                .ok_or_else(|| invalid(format!("the method `{name}` is not supported")))?,
        };
        let mut headers = HeaderMap::new();
        match value.get("headers") {
            None | Some(Value::Null) => {}
            Some(Value::Object(entries)) => {
                for (name, value) in entries {
                    let entry = header(name, value, &uri, len)?;
                    headers.extend(entry);
                }
            }
            Some(_) => return Err(invalid("`headers` is not an object".into())),
        }
        Ok(Request {
            uri,
            method,
            headers,
            has_body: true,
        })
    }

    /// Returns the host and port to connect to.
    pub(super) fn host(&self) -> network::Host {
        network::Host {
            name: self.uri.host().unwrap_or_default().into(),
            port: port(&self.uri),
        }
    }

    pub(super) fn is_secure(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    /// Returns the next request, if the response redirects this one
    /// ([RFC 9110, 15.4](https://www.rfc-editor.org/rfc/rfc9110#section-15.4)).
    pub(super) fn redirected(&self, response: &Response<()>) -> Result<Option<Request>, HttpError> {
        let is_kept = match response.status() {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method != Method::POST,
            StatusCode::SEE_OTHER => [Method::GET, Method::HEAD].contains(&self.method),
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
            _ => return Ok(None),
        };
        let Some(location) = response.headers().get(header::LOCATION) else {
            return Ok(None);
        };
        let invalid = || {
            let text = String::from_utf8_lossy(location.as_bytes());
            HttpError::Response(format!("it redirects to `{text}`, which is not a URL"))
        };
        let joined = location
            .to_str()
            .ok()
            .and_then(|location| join(&self.uri, location));
        let uri = checked(joined.ok_or_else(invalid)?)?;
        let mut headers = self.headers.clone();
        if origin(&uri) != origin(&self.uri) {
            for name in SECRETS {
                headers.remove(name);
            }
        }
        if !is_kept {
            for name in [
                header::CONTENT_TYPE,
                header::CONTENT_ENCODING,
                header::CONTENT_LANGUAGE,
            ] {
                headers.remove(name);
            }
        }
        Ok(Some(Request {
            uri,
            method: if is_kept { self.method.clone() } else { Method::GET },
            headers,
            has_body: self.has_body && is_kept,
        }))
    }
}

/// Returns a header of the guest, if it has to be sent.
fn header(
    name: &str,
    value: &Value,
    uri: &Uri,
    len: usize,
) -> Result<Option<(HeaderName, HeaderValue)>, HttpError> {
    let invalid = || HttpError::Request(format!("the header `{name}` is not valid"));
    let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
    let text = value.as_str().ok_or_else(invalid)?;
    let content = HeaderValue::from_str(text).map_err(|_| invalid())?;
    let is_own = match key {
        header::HOST => uri
            .authority()
            .is_some_and(|own| own.as_str().eq_ignore_ascii_case(text)),
        header::CONTENT_LENGTH => text.parse() == Ok(len),
        _ if REFUSED.contains(&key) => false,
        // These have to do with the connection and not with the request.
        header::CONNECTION => true,
        _ if key.as_str() == "keep-alive" => true,
        _ => return Ok(Some((key, content))),
    };
    if is_own {
        return Ok(None);
    }
    Err(HttpError::Request(format!(
        "the header `{name}: {text}` is the client's own: leave it out"
    )))
}

/// Checks that a URL is one that requests are made to.
fn checked(uri: Uri) -> Result<Uri, HttpError> {
    let invalid = |why: &str| Err(HttpError::Request(format!("the URL `{uri}` {why}")));
    if ![Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme()) {
        return invalid("is neither http nor https");
    }
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => {
            return Err(HttpError::Request(
                "the URL contains a user or a password: use the header `Authorization`".into(),
            ));
        }
        Some(authority) if authority.host().is_empty() => return invalid("has no host"),
        // An empty or an invalid port.
        Some(authority) if authority.port_u16().is_none() && authority.as_str() != authority.host() => {
            return invalid("has an invalid port");
        }
        Some(authority) if authority.host().len() > network::MAX_NAME as usize => {
            return invalid("has a host name that is too long");
        }
        Some(_) => {}
        None => return invalid("has no host"),
    }
    Ok(uri)
}

fn port(uri: &Uri) -> u16 {
    let default = if uri.scheme() == Some(&Scheme::HTTPS) {
        443
    } else {
        80
    };
    uri.port_u16().unwrap_or(default)
}

/// Returns what secrets belong to: scheme, host and port.
fn origin(uri: &Uri) -> (Option<&Scheme>, String, u16) {
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    (uri.scheme(), host, port(uri))
}

/// Resolves a reference ([RFC 3986, 5.2](https://www.rfc-editor.org/rfc/rfc3986#section-5.2)), without its fragment.
fn join(base: &Uri, reference: &str) -> Option<Uri> {
    let (reference, _) = reference.split_once('#').unwrap_or((reference, ""));
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    if has_scheme(reference) {
        return reference.parse().ok();
    }
    if reference.starts_with("//") {
        return format!("{scheme}:{reference}").parse().ok();
    }
    let (path, query) = match reference.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (reference, None),
    };
    let (path, query) = match path {
        "" => (base.path().to_string(), query.or(base.query())),
        _ if path.starts_with('/') => (without_dots(path), query),
        _ => {
            let above = base.path().rsplit_once('/').map_or("", |(above, _)| above);
            (without_dots(&format!("{above}/{path}")), query)
        }
    };
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    format!("{scheme}://{authority}{path}{query}").parse().ok()
}

fn has_scheme(reference: &str) -> bool {
    let Some((scheme, _)) = reference.split_once(':') else {
        return false;
    };
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.bytes().all(known)
}

/// Returns an absolute path without `.` and `..`.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 3986, 5.4, except those whose result has another scheme or a fragment.
    #[test]
    fn references_are_resolved_as_in_the_rfc() {
        let base: Uri = "http://a/b/c/d;p?q".parse().unwrap();
        for (reference, resolved) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            ("g?y#s", "http://a/b/c/g?y"),
            (";x", "http://a/b/c/;x"),
            ("g;x", "http://a/b/c/g;x"),
            ("g;x?y#s", "http://a/b/c/g;x?y"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("../../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            (".g", "http://a/b/c/.g"),
            ("g..", "http://a/b/c/g.."),
            ("..g", "http://a/b/c/..g"),
            ("./../g", "http://a/b/g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g/../h", "http://a/b/c/h"),
            ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g?y/./x", "http://a/b/c/g?y/./x"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("https://h:1/x/../y", "https://h:1/x/../y"),
        ] {
            let found = join(&base, reference).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), Some(resolved), "{reference}");
        }
    }

    fn parse(json: &str) -> Result<Request, String> {
        Request::parse(json.as_bytes(), 3).map_err(|error| error.to_string())
    }

    #[test]
    fn requests_that_are_not_made_say_why() {
        for (json, why) in [
            ("", "EOF"),
            ("[]", "no `url`"),
            ("{}", "no `url`"),
            (r#"{"url":7}"#, "`url` is not a text"),
            (r#"{"url":""}"#, "not a URL"),
            (r#"{"url":"example.com"}"#, "neither http nor https"),
            (r#"{"url":"/path"}"#, "neither http nor https"),
            (r#"{"url":"ftp://example.com/"}"#, "neither http nor https"),
            (r#"{"url":"file:///etc/passwd"}"#, ""),
            (r#"{"url":"http:///path"}"#, ""),
            (r#"{"url":"http://:80/"}"#, ""),
            (r#"{"url":"http://a:99999/"}"#, "invalid port"),
            (r#"{"url":"http://a b/"}"#, "not a URL"),
            (r#"{"url":"http://a/\r\nX: y"}"#, "not a URL"),
            (r#"{"url":"http://u:p@a/"}"#, "a user or a password"),
            (r#"{"url":"http://a@b@c/"}"#, ""),
            (r#"{"url":"http://a","method":"CONNECT"}"#, "not supported"),
            (r#"{"url":"http://a","method":"trace"}"#, "not supported"),
            (
                r#"{"url":"http://a","method":"GET / HTTP/1.1\r\n"}"#,
                "not supported",
            ),
            (r#"{"url":"http://a","method":1}"#, "`method` is not a text"),
            (r#"{"url":"http://a","headers":[]}"#, "not an object"),
            (r#"{"url":"http://a","headers":{"x":1}}"#, "the header `x`"),
            (
                r#"{"url":"http://a","headers":{"x":"a\r\nb: c"}}"#,
                "the header `x`",
            ),
            (r#"{"url":"http://a","headers":{"x y":"a"}}"#, "the header `x y`"),
            (r#"{"url":"http://a","headers":{"Host":"b"}}"#, "the client's own"),
            (
                r#"{"url":"http://a","headers":{"content-length":"4"}}"#,
                "the client's own",
            ),
            (
                r#"{"url":"http://a","headers":{"Transfer-Encoding":"chunked"}}"#,
                "the client's own",
            ),
            (
                r#"{"url":"http://a","headers":{"Expect":"100-continue"}}"#,
                "the client's own",
            ),
            (
                r#"{"url":"http://a","headers":{"Upgrade":"h2c"}}"#,
                "the client's own",
            ),
        ] {
            let error = parse(json).unwrap_err();
            assert!(error.contains(why), "{json}: {error}");
        }
        let long = format!(r#"{{"url":"http://{}/"}}"#, "a".repeat(256));
        assert!(parse(&long).unwrap_err().contains("too long"));
        let large = format!(r#"{{"url":"http://a/","x":"{}"}}"#, "a".repeat(MAX_BYTES));
        assert!(parse(&large).unwrap_err().contains("more than 65536 bytes"));
    }

    #[test]
    fn requests_that_are_made() {
        let request = parse(
            r#"{"url":"HTTPS://Example.com/x?y","method":"post","extra":[],
                "headers":{"Host":"example.COM","Content-Length":"3","Connection":"close","A":"b"}}"#,
        )
        .unwrap();
        assert_eq!((request.method.as_str(), request.is_secure()), ("POST", true));
        assert_eq!(request.headers.len(), 1);
        let host = request.host();
        assert!(host.name.eq_ignore_ascii_case("example.com"));
        assert_eq!(host.port, 443);
        assert_eq!(
            parse(r#"{"url":"http://[::1]:8/"}"#).unwrap().host().name,
            "[::1]"
        );
    }

    fn redirect(request: &str, status: u16, location: &str) -> Result<Option<Request>, HttpError> {
        let response = Response::builder().status(status).header("location", location);
        parse(request).unwrap().redirected(&response.body(()).unwrap())
    }

    #[test]
    fn redirects_change_the_method_as_in_the_rfc() {
        for (status, method, after) in [
            (301, "GET", "GET"),
            (301, "POST", "GET"),
            (302, "POST", "GET"),
            (302, "PUT", "PUT"),
            (303, "HEAD", "HEAD"),
            (303, "PUT", "GET"),
            (307, "POST", "POST"),
            (308, "DELETE", "DELETE"),
        ] {
            let request =
                format!(r#"{{"url":"http://a/","method":"{method}","headers":{{"Content-Type":"x"}}}}"#);
            let next = redirect(&request, status, "/b").unwrap().unwrap();
            assert_eq!(next.method.as_str(), after, "{status} {method}");
            assert_eq!(next.has_body, method == after, "{status} {method}");
            assert_eq!(
                next.headers.len(),
                usize::from(method == after),
                "{status} {method}"
            );
        }
        for status in [200, 300, 304, 305, 306, 309, 400] {
            assert!(
                redirect(r#"{"url":"http://a/"}"#, status, "/b")
                    .unwrap()
                    .is_none(),
                "{status}"
            );
        }
    }

    #[test]
    fn secrets_stay_with_their_origin() {
        let request = r#"{"url":"https://a.example/","headers":{"Authorization":"s","Cookie":"s","X":"y"}}"#;
        for (location, kept) in [
            ("/b", 3),
            ("https://A.example:443/b", 3),
            ("http://a.example/", 1),
            ("https://a.example:444/", 1),
            ("https://b.example/", 1),
            ("//b.a.example/", 1),
        ] {
            let next = redirect(request, 302, location).unwrap().unwrap();
            assert_eq!(next.headers.len(), kept, "{location}");
        }
        for location in [
            "file:///etc/passwd",
            "ftp://a.example/",
            "https://u:p@a.example/",
            "http://a b/",
            "javascript:1",
        ] {
            assert!(redirect(request, 302, location).is_err(), "{location}");
        }
    }
}
