//! Whose request it is, also behind a proxy.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName},
    middleware::Next,
    response::Response,
};

use super::Peer;

/// Every proxy adds the address that it was called from at the end, so that only the last one is our own proxy's word.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Where a request comes from, for logs and the audit: an IP address, or `local` for a program of this machine that came
/// through a unix socket. Take it as `Extension<ClientAddress>`.
///
/// It is that of the connection; only with [`behind_proxy`](super::HttpConfig::behind_proxy) is it what the proxy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAddress(pub String);

/// Gives the request its [`ClientAddress`].
pub(super) async fn client_address(State(behind_proxy): State<bool>, mut request: Request, next: Next) -> Response {
    let forwarded = if behind_proxy { forwarded_for(request.headers()) } else { None };
    let address = match (forwarded, request.extensions().get::<ConnectInfo<Peer>>()) {
        (Some(address), _) => address.to_canonical().to_string(),
        (None, Some(ConnectInfo(peer))) => peer.to_string(),
        (None, None) => "unknown".to_owned(),
    };
    request.extensions_mut().insert(ClientAddress(address));
    next.run(request).await
}

fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(FORWARDED_FOR).iter().next_back()?.to_str().ok()?;
    let last = last.rsplit(',').next()?.trim();
    // Some proxies add the port.
    last.parse().ok().or_else(|| last.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use axum::{Extension, Router, body::Body, middleware, routing::get};
    use tower::ServiceExt as _;

    use super::*;

    /// The address of a request from 192.0.2.1 with these headers.
    async fn address(behind_proxy: bool, headers: &[&str]) -> String {
        let router: Router = Router::new()
            .route("/", get(|Extension(ClientAddress(address)): Extension<ClientAddress>| async { address }))
            .layer(middleware::from_fn_with_state(behind_proxy, client_address));
        let mut request = Request::get("/");
        for value in headers {
            request = request.header(FORWARDED_FOR, *value);
        }
        let peer = Peer::Tcp("192.0.2.1:5000".parse().unwrap());
        let request = request.extension(ConnectInfo(peer)).body(Body::empty()).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        String::from_utf8(axum::body::to_bytes(answer.into_body(), 100).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_header_is_believed_only_behind_a_proxy() {
        assert_eq!(address(false, &["198.51.100.7"]).await, "192.0.2.1");
        assert_eq!(address(true, &["198.51.100.7"]).await, "198.51.100.7");
        assert_eq!(address(true, &[]).await, "192.0.2.1");
    }

    #[tokio::test]
    async fn only_the_last_address_is_the_word_of_the_proxy() {
        assert_eq!(address(true, &["127.0.0.1, 198.51.100.7"]).await, "198.51.100.7");
        assert_eq!(address(true, &["127.0.0.1", "10.0.0.1,198.51.100.7"]).await, "198.51.100.7");
        assert_eq!(address(true, &["198.51.100.7, alice"]).await, "192.0.2.1");
    }

    #[tokio::test]
    async fn an_address_reads_the_same_however_it_is_written() {
        for text in ["2001:DB8::7", "[2001:db8::7]:443", "2001:db8:0:0:0:0:0:7"] {
            assert_eq!(address(true, &[text]).await, "2001:db8::7");
        }
        assert_eq!(address(true, &["::ffff:198.51.100.7"]).await, "198.51.100.7");
        assert_eq!(address(true, &["198.51.100.7:50000"]).await, "198.51.100.7");
    }
}
