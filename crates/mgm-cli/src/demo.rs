//! `mgm demo`: a small network of namespaces, a router between them, hosts that join, and real traffic.

mod host;
mod network;
mod router;

use crate::control::client::ControlClient;
use crate::control::protocol::{Answer, Request, What};
use crate::show::tables;
use crate::terminal::{print, table};
use crate::{Failure, request_failure};
use anyhow::{anyhow, bail};
use host::{Receiver, Sender};
use mgm_verify::report::{Table, grouped};
use network::Network;
use router::RouterProcess;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// Show a router at work: make a small network of namespaces, let hosts join, send real traffic, and take it all away again
///
/// A source, a router and three hosts get a network namespace each. The router runs mgm run with two protocols side by side: IGMP
/// and MLD for the hosts, and a static entry for the lab. Nothing outside of these namespaces is touched, and nothing is left behind,
/// also after Ctrl-C. It takes about ten seconds, and needs root and iproute2.
#[derive(clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Send N packets to each group
    #[arg(long, value_name = "N", default_value = "200", value_parser = crate::arguments::whole::<u32>(1, 100_000))]
    packets: u32,
}

const EXIT_CODES: &str = "Exit codes:
  0  each host received every packet that it joined for, and no other
  1  the network could not be made, packets were missing, or a signal ended the demo
  2  wrong usage";

/// The longest time in which something has to happen.
const PATIENCE: Duration = Duration::from_secs(15);

const SOURCE: &str = "10.77.1.2";

/// The groups of the demo: the host that joins each, its source if it names one, and why packets arrive.
struct Stream {
    group: &'static str,
    host: Option<&'static str>,
    source: Option<&'static str>,
    /// Whether the router hears the host's report.
    is_heard: bool,
    why: &'static str,
}

const STREAMS: [Stream; 5] = [
    Stream {
        group: "239.77.1.1",
        host: Some("office"),
        source: None,
        is_heard: true,
        why: "joined by IGMPv3",
    },
    Stream {
        group: "232.77.1.1",
        host: Some("studio"),
        source: Some(SOURCE),
        is_heard: true,
        why: "joined from one source",
    },
    Stream {
        group: "ff1e::77:1",
        host: Some("studio"),
        source: None,
        is_heard: true,
        why: "joined by MLDv2",
    },
    Stream {
        group: "239.99.0.7",
        host: Some("lab"),
        source: None,
        is_heard: false,
        why: "static entry; no IGMP here",
    },
    Stream {
        group: "239.77.9.9",
        host: None,
        source: None,
        is_heard: false,
        why: "no receiver: not forwarded",
    },
];

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, interrupted.clone()).map_err(Failure::input)?;
    }
    show(&Demo { interrupted, packets: arguments.packets })
}

struct Demo {
    interrupted: Arc<AtomicBool>,
    packets: u32,
}

/// Shows the demo. Whatever ends it, the guards take away what was made.
fn show(demo: &Demo) -> Result<(), Failure> {
    say("Making five network namespaces: source, router, office, studio, lab.")?;
    let network = Network::new().map_err(Failure::input)?;
    demo.check()?;
    say(
        "Starting the router: mgm run, with IGMP and MLD for office and studio, and a static entry for the lab.\n",
    )?;
    let router = RouterProcess::start(&network).map_err(Failure::input)?;
    let mut client = demo.connect(&router)?;
    demo.list(&mut client, What::Interfaces)?;

    say("\nThe hosts join through their kernels.\n")?;
    let receivers = STREAMS
        .iter()
        .filter_map(|stream| Some((stream, stream.host?)))
        .map(|(stream, host)| {
            let receiver = Receiver::start(&network, host, stream.group, stream.source)?;
            Ok((stream, receiver))
        })
        .collect::<anyhow::Result<Vec<_>>>()
        .map_err(Failure::input)?;
    let joined = STREAMS.iter().filter(|stream| stream.is_heard).map(|stream| stream.group);
    demo.wait_for_groups(&mut client, &joined.collect::<Vec<_>>(), &[])?;
    demo.list(&mut client, What::Groups)?;

    say(&format!("\nThe source sends {} packets to each of {} groups.\n", demo.packets, STREAMS.len()))?;
    demo.wait("a route of the source to groups", || {
        Ok(Sender::is_ready(&network, "source").map_err(Failure::input)?.then_some(()))
    })?;
    let sender = Sender::new(&network, "source").map_err(Failure::input)?;
    for number in 0..demo.packets {
        for stream in &STREAMS {
            sender.send(stream.group).map_err(Failure::input)?;
        }
        if number == 0 {
            // While the entry of a new flow is made, the kernel keeps four of its packets. A busy machine may need longer.
            demo.wait_for_entries(&mut client)?;
        }
        thread::sleep(Duration::from_millis(2));
        demo.check()?;
    }
    thread::sleep(Duration::from_millis(300));
    demo.list(&mut client, What::Entries)?;

    let mut rows = Vec::new();
    let mut missing = 0;
    for stream in &STREAMS {
        let received =
            receivers.iter().find(|(of, _)| of.group == stream.group).map(|(_, receiver)| receiver.count());
        // Packets without a receiver are not missed.
        missing += received.map_or(0, |received| u64::from(demo.packets).abs_diff(received));
        rows.push(vec![
            stream.group.to_owned(),
            stream.host.unwrap_or("-").to_owned(),
            grouped(demo.packets.into()),
            grouped(received.unwrap_or(0)),
            stream.why.to_owned(),
        ]);
    }
    let columns = ["group", "host", "#sent", "#received", "why"];
    say(&format!(
        "\nReceived\n{}",
        table::render(&Table::new(&columns, rows), table::terminal_width(), &["why"])
    ))?;

    say(
        "\nThe office leaves 239.77.1.1. The router asks for other receivers, and stops after two seconds.\n",
    )?;
    for (_, receiver) in receivers.iter().filter(|(stream, _)| stream.host == Some("office")) {
        receiver.leave().map_err(Failure::input)?;
    }
    demo.wait_for_groups(&mut client, &[], &["239.77.1.1"])?;
    demo.list(&mut client, What::Entries)?;
    say("\nThe last events:\n")?;
    demo.list(&mut client, What::Events)?;
    drop(client);
    drop(receivers);
    router.stop().map_err(Failure::input)?;
    drop(network);
    say("\nThe router has ended, and the namespaces are gone.")?;
    match missing {
        0 => Ok(()),
        missing => {
            Err(Failure::input(anyhow!("{missing} packets are missing, or came twice: please report it")))
        }
    }
}

fn say(text: &str) -> Result<(), Failure> {
    print(text).map_err(Failure::input)
}

impl Demo {
    /// Ends the demo after a signal.
    fn check(&self) -> Result<(), Failure> {
        match self.interrupted.load(SeqCst) {
            true => {
                Err(Failure::input(anyhow!("a signal ended the demo; everything that it made is taken away")))
            }
            false => Ok(()),
        }
    }

    /// Waits until something is there.
    fn wait<T>(&self, what: &str, mut ask: impl FnMut() -> Result<Option<T>, Failure>) -> Result<T, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.check()?;
            if let Some(found) = ask()? {
                return Ok(found);
            }
            if Instant::now() > deadline {
                return Err(Failure::input(anyhow!(
                    "{what} did not happen within {} seconds",
                    PATIENCE.as_secs()
                )));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn connect(&self, router: &RouterProcess) -> Result<ControlClient, Failure> {
        self.wait("the start of the router", || {
            router.check().map_err(Failure::input)?;
            let Ok(mut client) = ControlClient::connect(router.socket()) else { return Ok(None) };
            // The socket exists before the router is ready.
            let answer = client.request(Request::Show { what: What::Clients, after: None });
            answer.map_err(request_failure).map(|_| Some(client))
        })
    }

    fn list(&self, client: &mut ControlClient, what: What) -> Result<(), Failure> {
        self.check()?;
        let answer = client.show(what, None).map_err(request_failure)?;
        say(&tables::all(&answer, table::terminal_width()))
    }

    /// Waits until the router has an entry of each group.
    fn wait_for_entries(&self, client: &mut ControlClient) -> Result<(), Failure> {
        self.wait("the making of the entries", || {
            let Answer::Entries(page) = client.show(What::Entries, None).map_err(request_failure)? else {
                return Err(Failure::input(anyhow!("the router has answered another question")));
            };
            let has_entry = |stream: &Stream| {
                let group = stream.group.parse().ok();
                // The kernel counts a packet when it has the entry.
                page.rows.iter().any(|row| Some(row.group) == group && row.packets > 0)
            };
            Ok(STREAMS.iter().all(has_entry).then_some(()))
        })
    }

    /// Waits until the router knows receivers of some groups, and none of others.
    fn wait_for_groups(
        &self,
        client: &mut ControlClient,
        present: &[&str],
        absent: &[&str],
    ) -> Result<(), Failure> {
        let address = |text: &&str| text.parse::<IpAddr>().ok();
        self.wait("the change of the groups", || {
            let Answer::Groups(page) = client.show(What::Groups, None).map_err(request_failure)? else {
                return Err(Failure::input(anyhow!("the router has answered another question")));
            };
            let known = |group: &&str| page.rows.iter().any(|row| row.group == address(group));
            Ok((present.iter().all(known) && !absent.iter().any(known)).then_some(()))
        })
    }
}

/// Checks that the demo can run at all.
fn requirements() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("the demo makes network namespaces, which needs root: run it as sudo mgm demo");
    }
    Ok(())
}
