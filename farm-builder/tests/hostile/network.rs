//! Packages that look for the network. The host's part is played by a network namespace that the test makes.

use std::{
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    process::Command,
};

use crate::support::{Attack, lines};

#[tokio::test]
async fn no_address_and_no_socket_outside_can_be_reached() {
    let script = "ip link set lo up && ip address add 10.77.0.1/32 dev lo && exec \"$@\"";
    let mut unshare = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        // Whoever may not make one alone plays it on the host's own loopback; the far address is missing there then.
        eprintln!("not root: tried without a network namespace of the test's own");
        unshare = Command::new("env");
        unshare.args(["FARM_TEST_FAR=127.0.0.1", "sh", "-c", "exec \"$@\""]);
    } else {
        unshare.args(["--net", "sh", "-c", script]);
    }
    let output = unshare
        .arg("sh")
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "network::in_a_network_of_its_own"])
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{out}\n{err}");
}

#[tokio::test]
#[ignore = "a part of no_address_and_no_socket_outside_can_be_reached"]
async fn in_a_network_of_its_own() {
    let far = std::env::var("FARM_TEST_FAR").unwrap_or_else(|_| "10.77.0.1".to_owned());
    let near = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = TcpListener::bind((far.as_str(), 0)).unwrap();
    let remote_port = remote.local_addr().unwrap().port();
    let datagrams = UdpSocket::bind((far.as_str(), remote_port)).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    let name = format!("farm-hostile-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let hidden = UnixListener::bind_addr(&address).unwrap();
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = folder.path().join("socket");
    let open = UnixListener::bind(&path).unwrap();
    // All of them answer whoever is let.
    let port = near.local_addr().unwrap().port();
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    TcpStream::connect((far.as_str(), remote_port)).unwrap();
    UnixStream::connect_addr(&address).unwrap();
    UnixStream::connect(&path).unwrap();
    for listener in [&near, &remote] {
        listener.accept().unwrap();
        listener.set_nonblocking(true).unwrap();
    }
    for listener in [&hidden, &open] {
        listener.accept().unwrap();
        listener.set_nonblocking(true).unwrap();
    }

    let (near_port, far_port) = (port.to_string(), remote_port.to_string());
    let words =
        [("PORT", near_port.as_str()), ("FAR", &far_port), ("ABSTRACT", &name), ("SOCKET", path.to_str().unwrap())];
    let built = Attack::with("network", &words).run().await;

    built.packages();
    assert!(built.log.lines().any(|line| line == "tried"), "{}", built.log);
    assert_eq!(lines(&built.log, "OUT"), [""; 0], "{}", built.log);
    assert!(near.accept().is_err() && remote.accept().is_err() && hidden.accept().is_err() && open.accept().is_err());
    assert!(datagrams.recv(&mut [0; 9]).is_err());
}
