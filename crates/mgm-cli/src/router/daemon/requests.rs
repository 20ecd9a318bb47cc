//! [`RouterHandler`]: carries out the requests of the control socket.

use super::{ReloadError, Router};
use crate::control::protocol::{Answer, Network, Page, Receiver, Refusal, RefusalKind, Request, What};
use crate::control::server::{ControlCounters, Handler};
use crate::router::config::nearest;
use mgm::manager::Membership;
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};

/// Carries out requests on a router that another thread follows.
pub(crate) struct RouterHandler {
    pub(crate) router: Arc<Mutex<Router>>,
    /// The counters of the server, which is made after its handler.
    pub(crate) counters: Arc<OnceLock<Arc<ControlCounters>>>,
}

impl Handler for RouterHandler {
    fn handle(&mut self, request: Request) -> Result<Answer, Refusal> {
        let mut router = self.router.lock();
        match request {
            Request::Show { what, after } => self.show(&router, what, after.as_deref()),
            Request::Join(receiver) => router.join(receiver),
            Request::Leave(receiver) => router.leave(&receiver),
            Request::RouteAdd { prefix, interface } => router.add_route(prefix, interface),
            Request::RouteRemove { prefix } => router.remove_route(prefix),
            Request::Reload => match router.reload() {
                Ok(changes) => Ok(Answer::Changed(changes)),
                Err(ReloadError::Failed(error)) => Err(Refusal::refused(format!("{error:#}"))),
                Err(ReloadError::Mistakes(mistakes)) => Err(Refusal {
                    kind: RefusalKind::Configuration,
                    message: "the configuration has mistakes, and the old one stays in force:".to_owned(),
                    mistakes,
                }),
            },
        }
    }
}

impl RouterHandler {
    fn show(&self, router: &Router, what: What, after: Option<&str>) -> Result<Answer, Refusal> {
        fn whole<T>(rows: Vec<T>) -> Page<T> {
            Page { rows, next: None }
        }
        Ok(match what {
            What::Clients => Answer::Clients(whole(router.client_rows())),
            What::Interfaces => Answer::Interfaces(whole(router.interface_rows())),
            What::Groups => Answer::Groups(router.group_rows(after)?),
            What::Entries => Answer::Entries(router.entry_rows(after)?),
            What::Counters => {
                let control = self.counters.get().map(|counters| &**counters);
                Answer::Counters(whole(router.counter_rows(control)))
            }
            What::Events => {
                let number = match after {
                    None => 0,
                    Some(after) => after.parse().map_err(|_| {
                        Refusal::refused(format!("{after:?} is no number of an event: send one such as 17"))
                    })?,
                };
                Answer::Events(router.events.after(number))
            }
        })
    }
}

impl Router {
    fn join(&mut self, receiver: Receiver) -> Result<Answer, Refusal> {
        let membership = self.membership(&receiver)?;
        let name = receiver.interface;
        let Some(instance) = self.config.static_of(&name, membership.family()) else {
            let owners = self.config.interface(&name).map(|interface| interface.protocols.join(", "));
            return Err(Refusal::refused(format!(
                "no static instance owns {name} (its protocols: {}): add one to its protocols in the configuration",
                owners.filter(|owners| !owners.is_empty()).unwrap_or_else(|| "none".to_owned())
            )));
        };
        let owner = instance.name.clone();
        let key = (name.clone(), membership);
        let configured =
            self.config.joins.iter().any(|join| (&join.interface, join.membership) == (&name, membership));
        if configured || !self.added.joins.insert(key.clone()) {
            return Ok(Answer::Changed(vec![format!("{membership} is joined on {name} already")]));
        }
        self.reconcile();
        let index = self.links.by_name(&name).map(|link| link.index);
        let in_force = self.joined.iter().any(|(instance, interface, joined)| {
            *instance == owner && Some(interface.index()) == index && *joined == membership
        });
        if index.is_some() && !in_force {
            self.added.joins.remove(&key);
            let reasons = self.refused.iter().filter(|(interface, _)| Some(interface.index()) == index);
            let reasons: Vec<_> = reasons.flat_map(|(_, reasons)| reasons.iter().cloned()).collect();
            return Err(Refusal::refused(format!(
                "{membership} is not joined on {name}: {}",
                reasons.join("; ")
            )));
        }
        self.events.add(name.clone(), format!("{membership} joined by mgm join"));
        let absent = if index.is_none() { ", once it exists" } else { "" };
        Ok(Answer::Changed(vec![format!("{owner} joined {membership} on {name}{absent}")]))
    }

    fn leave(&mut self, receiver: &Receiver) -> Result<Answer, Refusal> {
        let membership = self.membership(receiver)?;
        let name = &receiver.interface;
        if !self.added.joins.remove(&(name.clone(), membership)) {
            let configured =
                self.config.joins.iter().any(|join| (&join.interface, join.membership) == (name, membership));
            return Err(Refusal::refused(if configured {
                format!(
                    "{membership} on {name} is a [[join]] of the configuration: take it out there, and reload"
                )
            } else {
                format!(
                    "mgm join did not join {membership} on {name}: mgm show groups lists what is joined, and by what"
                )
            }));
        }
        self.reconcile();
        self.events.add(name.clone(), format!("{membership} left by mgm leave"));
        Ok(Answer::Changed(vec![format!("{membership} left on {name}")]))
    }

    /// Returns the membership of a receiver on an interface that the configuration has.
    fn membership(&self, receiver: &Receiver) -> Result<Membership, Refusal> {
        self.known(&receiver.interface)?;
        let membership = match receiver.source {
            Some(source) => Membership::one_source(source, receiver.group),
            None => Membership::any_source(receiver.group),
        };
        membership.map_err(|error| Refusal::refused(error.to_string()))
    }

    /// Checks that the configuration has an interface.
    fn known(&self, name: &str) -> Result<(), Refusal> {
        if self.config.interface(name).is_some() {
            return Ok(());
        }
        let names = || self.config.interfaces.iter().map(|interface| &*interface.name);
        let right = match nearest(name, names()) {
            Some(near) => format!("did you mean {near}?"),
            None => "add it to the configuration, and reload".to_owned(),
        };
        Err(Refusal::refused(format!("the configuration has no interface {name:?}: {right}")))
    }

    fn add_route(&mut self, Network(prefix): Network, interface: String) -> Result<Answer, Refusal> {
        self.known(&interface)?;
        let before = self.added.routes.insert(prefix, interface.clone());
        self.reconcile();
        let instead = before.filter(|before| *before != interface);
        let instead = instead.map(|before| format!(", no longer {before}")).unwrap_or_default();
        self.events.add(interface.clone(), format!("{prefix} arrives here by mgm route{instead}"));
        Ok(Answer::Changed(vec![format!("packets of {prefix} arrive on {interface}{instead}")]))
    }

    fn remove_route(&mut self, Network(prefix): Network) -> Result<Answer, Refusal> {
        if self.added.routes.remove(&prefix).is_none() {
            let configured = self.config.routes.iter().any(|route| route.prefix == prefix);
            return Err(Refusal::refused(if configured {
                format!("{prefix} is a [[route]] of the configuration: take it out there, and reload")
            } else {
                format!("mgm route add did not add a route to {prefix}")
            }));
        }
        self.reconcile();
        self.events.add("router", format!("the route to {prefix} was removed by mgm route"));
        Ok(Answer::Changed(vec![format!("the route to {prefix} is removed")]))
    }
}
