//! Servers on the loopback interface.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A server that serves each connection with the same function, on threads that end with the test.
pub(crate) struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves connections with a function.
    pub(crate) fn new(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Server {
        Server::with_requests(move |stream, _| serve(stream))
    }

    /// Reads a request from each connection, and writes this.
    pub(crate) fn answering(response: &'static [u8]) -> Server {
        Server::responding(move |_| response.to_vec())
    }

    /// Reads a request from each connection, and writes what the function returns for it.
    pub(crate) fn responding(respond: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Server {
        Server::with_requests(move |mut stream, requests| {
            let Some(request) = read_request(&mut stream) else {
                return;
            };
            let response = respond(&request);
            requests.lock().unwrap().push(request);
            // A client that has read enough may have closed the connection.
            let _ = stream.write_all(&response);
        })
    }

    fn with_requests(serve: impl Fn(TcpStream, &Mutex<Vec<String>>) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let (connections, requests) = (server.connections.clone(), server.requests.clone());
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                connections.fetch_add(1, Ordering::SeqCst);
                let (serve, requests) = (serve.clone(), requests.clone());
                thread::spawn(move || serve(stream, &requests));
            }
        });
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The scope that allows this server.
    pub(crate) fn pattern(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// A request as a guest writes it.
    pub(crate) fn get(&self, path: &str) -> String {
        format!(r#"{{"url":"{}"}}"#, self.url(path))
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Reads a request with its body; nothing if the client closes the connection.
pub(crate) fn read_request(stream: &mut impl Read) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}
