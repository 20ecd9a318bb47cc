//! Requests and answers: one line of JSON each, with the version of the protocol.

use crate::router::config::Mistake;
use mgm::rpf::Prefix;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// The version of the protocol. Another version is refused.
pub(crate) const VERSION: u32 = 1;

/// The maximum length of a request's line in octets.
pub(crate) const MAX_REQUEST: usize = 16 << 10;

/// The maximum number of rows in an answer. `next` of the answer asks for more.
pub(crate) const MAX_ROWS: usize = 1000;

/// A line of a client.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestLine {
    pub(crate) version: u32,
    pub(crate) request: Request,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Lists something, from the place on that an answer named as `next`.
    Show {
        what: What,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
    /// Adds a permanent receiver, until the router ends.
    Join(Receiver),
    /// Takes it away again.
    Leave(Receiver),
    /// Adds a route for multicast alone, until the router ends.
    RouteAdd { prefix: Network, interface: String },
    /// Removes such a route.
    RouteRemove { prefix: Network },
    /// Applies the changed configuration.
    Reload,
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// The protocol instances, and the interfaces that each owns
    Clients,
    /// The interfaces, and which protocols own each
    Interfaces,
    /// The groups that have receivers
    Groups,
    /// The forwarding entries, with their packets
    Entries,
    /// What was counted, and what limits refused
    Counters,
    /// What happened lately
    Events,
}

/// A receiver of a group on an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Receiver {
    pub(crate) interface: String,
    pub(crate) group: IpAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<IpAddr>,
}

/// A network, written as an address and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Network(pub(crate) Prefix);

impl From<Network> for String {
    fn from(Network(prefix): Network) -> String {
        prefix.to_string()
    }
}

impl TryFrom<String> for Network {
    type Error = mgm::rpf::PrefixError;

    fn try_from(text: String) -> Result<Network, Self::Error> {
        text.parse().map(Network)
    }
}

/// A line of the router.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AnswerLine {
    pub(crate) version: u32,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// An answer, or why there is none.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Answer(Answer),
    Error(Refusal),
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Clients(Page<ClientRow>),
    Interfaces(Page<InterfaceRow>),
    Groups(Page<GroupRow>),
    Entries(Page<EntryRow>),
    Counters(Page<CounterRow>),
    Events(Page<EventRow>),
    /// What was changed, a sentence each.
    Changed(Vec<String>),
}

/// Rows of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) rows: Vec<T>,
    /// Where the next page begins; none after the last.
    pub(crate) next: Option<String>,
}

/// A registered protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClientRow {
    /// The instance of the configuration: `gmp.lan`.
    pub(crate) name: String,
    /// `IGMP`, `MLD`, `static`.
    pub(crate) protocol: String,
    pub(crate) component: u32,
    pub(crate) interfaces: Vec<String>,
    pub(crate) memberships: u64,
}

/// An interface in one address family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InterfaceRow {
    pub(crate) name: String,
    /// `IPv4`, `IPv6`.
    pub(crate) family: String,
    /// The kernel's index; none while the interface does not exist.
    pub(crate) index: Option<u32>,
    /// `up`, `down`, `absent`.
    pub(crate) state: String,
    pub(crate) threshold: u8,
    /// The owner in the routing role.
    pub(crate) routing: Option<String>,
    /// The owner in the role of IGMP and MLD.
    pub(crate) gmp: Option<String>,
    /// The querier of the link: `this router` or its address.
    pub(crate) querier: Option<String>,
    pub(crate) received: u64,
    pub(crate) transmitted: u64,
    /// Why a protocol that the configuration names does not own it.
    pub(crate) refused: Vec<String>,
}

/// A membership on an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupRow {
    pub(crate) interface: String,
    pub(crate) group: Option<IpAddr>,
    /// None for every source.
    pub(crate) source: Option<IpAddr>,
    /// The instance that added it.
    pub(crate) by: String,
}

/// A forwarding entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EntryRow {
    pub(crate) source: IpAddr,
    pub(crate) group: IpAddr,
    pub(crate) incoming: Option<String>,
    pub(crate) outgoing: Vec<String>,
    pub(crate) packets: u64,
    pub(crate) octets: u64,
    pub(crate) wrong_interface: u64,
}

/// A counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CounterRow {
    /// The part of the router: `manager`, `gmp.lan IGMP`.
    pub(crate) of: String,
    pub(crate) name: String,
    pub(crate) count: u64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventRow {
    /// Counts up by one, also for events that were dropped since.
    pub(crate) number: u64,
    /// Seconds since 1970.
    pub(crate) time: u64,
    pub(crate) subject: String,
    pub(crate) event: String,
}

/// The reason why a request had no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) kind: RefusalKind,
    pub(crate) message: String,
    /// The mistakes of a configuration that was to be loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mistakes: Vec<Mistake>,
}

/// The kind of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefusalKind {
    /// The line is no request of this version.
    Malformed,
    /// The request names something that does not exist, or may not be done.
    Refused,
    /// The configuration has mistakes.
    Configuration,
}

impl Refusal {
    pub(crate) fn refused(message: impl Into<String>) -> Refusal {
        Refusal { kind: RefusalKind::Refused, message: message.into(), mistakes: Vec::new() }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Refusal {
        Refusal { kind: RefusalKind::Malformed, message: message.into(), mistakes: Vec::new() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// Returns the request of a line, without its line break.
pub(crate) fn parse_request(line: &[u8]) -> Result<Request, Refusal> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let example = r#"{"version":1,"request":{"show":{"what":"clients"}}}"#;
    let malformed = |error: serde_json::Error| {
        Refusal::malformed(format!("the line is no request ({error}): send one such as {example}"))
    };
    // The version first: a later one may have requests that this one does not know.
    let Versioned { version } = serde_json::from_slice(line).map_err(malformed)?;
    if version != VERSION {
        return Err(Refusal::malformed(format!(
            "version {version} is not known here: send version {VERSION}"
        )));
    }
    serde_json::from_slice::<RequestLine>(line).map(|line| line.request).map_err(malformed)
}

/// Writes a line with its line break.
pub(crate) fn line(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
