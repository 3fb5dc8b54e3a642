//! One request and its response on a connection.

use super::{HttpError, connection::Connection, received::Received, request::Request};
use crate::{error::Stop, host::Caller};
use std::{format, string::ToString, vec, vec::Vec};
use ureq_proto::{
    BodyMode,
    client::{Call, RecvResponseResult, SendRequestResult, state},
    http::{self, HeaderValue, Response, Version, header},
};

/// The maximum length of the headers of a request and of a response, interim responses included.
const MAX_HEAD: usize = 64 << 10;

/// The number of bytes that are read or written at once.
const CHUNK: usize = 16 << 10;

/// A response whose body has not been read.
pub(super) struct Reply {
    pub(super) response: Response<()>,
    next: RecvResponseResult,
    /// What was received after the headers.
    rest: Vec<u8>,
}

/// Sends a request, and receives the headers of the response.
pub(super) fn start(
    caller: &mut Caller<'_>,
    connection: &mut Connection,
    request: &Request,
    body: &[u8],
) -> Result<Reply, Stop> {
    let call = send(caller, connection, request, body)?;
    receive(caller, connection, call)
}

/// Adds what the client sends with each request.
fn complete(request: &Request, body: &[u8]) -> Result<http::Request<()>, HttpError> {
    let mut complete = http::Request::new(());
    *complete.version_mut() = Version::HTTP_11;
    *complete.method_mut() = request.method.clone();
    *complete.uri_mut() = request.uri.clone();
    let headers = complete.headers_mut();
    headers.clone_from(&request.headers);
    let defaults = [
        (header::ACCEPT, "*/*"),
        (header::USER_AGENT, concat!("dynload/", env!("CARGO_PKG_VERSION"))),
    ];
    for (name, value) in defaults {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let has_length = !body.is_empty() || ["POST", "PUT", "PATCH"].contains(&request.method.as_str());
    if has_length && request.has_body {
        headers.insert(header::CONTENT_LENGTH, body.len().into());
    }
    Ok(complete)
}

fn send(
    caller: &mut Caller<'_>,
    connection: &mut Connection,
    request: &Request,
    body: &[u8],
) -> Result<Call<state::RecvResponse>, Stop> {
    let invalid = |error: ureq_proto::Error| Stop::host(HttpError::Request(error.to_string()));
    let mut call = Call::new(complete(request, body).map_err(Stop::host)?).map_err(invalid)?;
    if !body.is_empty() {
        call.force_send_body();
    }
    let mut call = call.proceed();
    let mut head = vec![0; 2 * MAX_HEAD];
    let mut len = 0;
    while !call.can_proceed() {
        len += call.write(&mut head[len..]).map_err(invalid)?;
    }
    connection.write_all(caller, &head[..len])?;
    let call = match call.proceed().map_err(invalid)? {
        Some(SendRequestResult::RecvResponse(call)) => return Ok(call),
        Some(SendRequestResult::SendBody(call)) => call,
        Some(SendRequestResult::Await100(_)) | None => {
            return Err(Stop::host(HttpError::Request("it waits for the server".into())));
        }
    };
    let mut call = call;
    for chunk in body.chunks(CHUNK) {
        connection.write_all(caller, chunk)?;
        call.consume_direct_write(chunk.len()).map_err(invalid)?;
    }
    call.proceed()
        .ok_or_else(|| Stop::host(HttpError::Request("its body is incomplete".into())))
}

fn receive(
    caller: &mut Caller<'_>,
    connection: &mut Connection,
    mut call: Call<state::RecvResponse>,
) -> Result<Reply, Stop> {
    let invalid = |error: ureq_proto::Error| Stop::host(HttpError::Response(error.to_string()));
    let mut input = Vec::new();
    let mut left = MAX_HEAD;
    let mut buffer = vec![0; CHUNK];
    loop {
        let (used, response) = call.try_response(&input, false).map_err(invalid)?;
        input.drain(..used);
        if let Some(response) = response {
            if response.status().is_informational() {
                let status = response.status();
                return Err(Stop::host(HttpError::Response(format!(
                    "the status {status} was not requested"
                ))));
            }
            let next = call
                .proceed()
                .ok_or_else(|| Stop::host(HttpError::ended_early()))?;
            return Ok(Reply {
                response,
                next,
                rest: input,
            });
        }
        if used > 0 {
            continue;
        }
        if left == 0 {
            return Err(Stop::host(HttpError::TooLarge {
                part: "headers",
                limit: MAX_HEAD as u64,
            }));
        }
        let most = left.min(CHUNK);
        let read = connection.read(caller, &mut buffer[..most])?;
        if read == 0 {
            return Err(Stop::host(HttpError::ended_early()));
        }
        left -= read;
        input.extend_from_slice(&buffer[..read]);
    }
}

impl Reply {
    /// Reads the body.
    pub(super) fn read_body(
        &mut self,
        caller: &mut Caller<'_>,
        connection: &mut Connection,
        received: &mut Received,
    ) -> Result<(), Stop> {
        let RecvResponseResult::RecvBody(call) = &mut self.next else {
            return Ok(());
        };
        let invalid = |error: ureq_proto::Error| Stop::host(HttpError::Response(error.to_string()));
        let until_end = match call.body_mode() {
            BodyMode::LengthDelimited(len) => {
                received.expect(len).map_err(Stop::host)?;
                false
            }
            mode => mode == BodyMode::CloseDelimited,
        };
        let (mut buffer, mut output) = (vec![0; CHUNK], vec![0; CHUNK]);
        loop {
            let (used, made) = call.read(&self.rest, &mut output).map_err(invalid)?;
            self.rest.drain(..used);
            received.push(caller, &output[..made])?;
            if call.can_proceed() && !until_end {
                return Ok(());
            }
            if used > 0 {
                continue;
            }
            if self.rest.len() >= CHUNK {
                return Err(Stop::host(HttpError::Response("a line is too long".into())));
            }
            let read = connection.read(caller, &mut buffer)?;
            if read == 0 {
                let is_complete = until_end || call.is_ended_chunked();
                return if is_complete {
                    Ok(())
                } else {
                    Err(Stop::host(HttpError::ended_early()))
                };
            }
            self.rest.extend_from_slice(&buffer[..read]);
        }
    }
}
