//! Tests of a client's first callbacks, and of subscriptions to changes.

use super::*;
use std::sync::Weak;

/// Takes an interface and has another client join while it receives its handle; records its callbacks.
struct Starting {
    manager: Weak<GroupManager>,
    other: Handle,
    log: Mutex<Vec<String>>,
}

impl Client for Arc<Starting> {
    fn registered(&self, handle: Handle) {
        let manager = self.manager.upgrade().unwrap();
        manager.take(handle, Interface::v4(1)).unwrap();
        let group = Membership::any_source([239, 1, 1, 1].into()).unwrap();
        manager.add_membership(self.other, Interface::v4(2), group, StateChange::Join).unwrap();
        let flow = Flow::new([192, 0, 2, 1].into(), [239, 1, 1, 1].into()).unwrap();
        manager.new_flow(flow).unwrap();
        self.log.lock().push(format!("registered {}", manager.protocol_of(handle).unwrap().id));
    }

    fn join_alert(&self, alert: &JoinAlert) {
        self.log.lock().push(format!("join {}", alert.membership()));
    }

    fn reverse_path(&self, _: &mut ReversePathQuestion<'_>) {
        self.log.lock().push("reverse path".into());
    }
}

fn manager() -> Arc<GroupManager> {
    let routes = |_| Some(ReversePath::through(Interface::v4(1)));
    Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap())
}

#[test]
fn a_client_has_its_handle_before_any_other_callback() {
    let manager = manager();
    let other = manager.register(Protocol::new(1, 0), Arc::new(())).unwrap();
    manager.take(other, Interface::v4(2)).unwrap();
    let log = Mutex::default();
    let client = Arc::new(Starting { manager: Arc::downgrade(&manager), other, log });
    let handle = manager.register(Protocol::new(2, 0), Arc::new(client.clone())).unwrap();
    assert_eq!(*client.log.lock(), ["registered 2", "join (*, 239.1.1.1)"]);
    manager.flush_entries();
    manager.new_flow(Flow::new([192, 0, 2, 1].into(), [239, 1, 1, 1].into()).unwrap()).unwrap();
    assert_eq!(client.log.lock().last().unwrap(), "reverse path");
    manager.release(handle, Interface::v4(1)).unwrap();
    manager.deregister(handle).unwrap();
}

#[test]
fn subscribers_get_the_changes_of_entries() {
    let manager = manager();
    let client = manager.register(Protocol::new(1, 0), Arc::new(())).unwrap();
    manager.take(client, Interface::v4(1)).unwrap();
    let subscription = manager.subscribe_changes(1, || ());
    let flow = |n| Flow::new([192, 0, 2, n].into(), [239, 1, 1, 1].into()).unwrap();
    manager.new_flow(flow(1)).unwrap();
    assert_eq!(subscription.try_next(), Some(EntryChange::Flow(flow(1))));
    assert_eq!(subscription.try_next(), None);
    [1, 2, 3].into_iter().for_each(|n| _ = manager.new_flow(flow(n)).unwrap());
    assert_eq!(subscription.try_next(), Some(EntryChange::Overflow));
    manager.flush_entries();
    assert_eq!(subscription.try_next(), Some(EntryChange::Overflow));
}
