//! Mistakes, each with its line, its column and its text; and the sample configuration.

use super::reader::Reader;
use super::*;

const SAMPLE: &str = include_str!("../../../../../examples/mgm.toml");

/// Two interfaces, one static instance and one of IGMP and MLD: lines 1 to 8.
const BASE: &str = "\
[gmp.lan]
[static.cameras]
[[interface]]
name = 'east'
protocols = ['gmp.lan', 'static.cameras']
[[interface]]
name = 'west'
protocols = ['static.cameras']
";

/// Returns the mistakes of a text, as lines.
fn mistakes(text: &str) -> Vec<String> {
    match RouterConfig::parse(text) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    }
}

#[track_caller]
fn assert_mistakes(text: &str, expected: &[&str]) {
    assert_eq!(mistakes(text), expected, "{text}");
}

/// Asserts the mistakes of a text that follows the base.
#[track_caller]
fn assert_after_base(text: &str, expected: &[&str]) {
    assert_mistakes(&format!("{BASE}{text}"), expected);
}

#[test]
fn the_sample_has_no_mistake_and_names_every_key() {
    assert_mistakes(SAMPLE, &[]);
    let reader = Reader::new(SAMPLE);
    let document = DeTable::parse(SAMPLE).unwrap();
    read(&reader, document.get_ref());
    let (known, present) = reader.keys();
    let missing: Vec<_> = known.difference(&present).collect();
    assert!(missing.is_empty(), "examples/mgm.toml does not show {missing:?}");
    assert!(known.len() > 60, "{known:?}");
}

#[test]
fn an_empty_file_is_a_router_without_interfaces() {
    let config = RouterConfig::parse("").unwrap();
    assert_eq!(config.router.control, PathBuf::from("/run/mgm.sock"));
    assert!(config.interfaces.is_empty() && config.instances.is_empty());
}

#[test]
fn unknown_keys_are_named_with_the_nearest() {
    assert_mistakes(
        "[[interface]]\nname = 'a'\ntreshold = 2\ncolour = 'red'\n[routr]\n",
        &[
            "3:1: [[interface]] has no key treshold: did you mean threshold?",
            "4:1: [[interface]] has no key colour: it knows name, threshold, protocols",
            "5:2: this file has no key routr: did you mean router?",
        ],
    );
    assert_mistakes(
        "[gmp.lan.igmp]\nrobustnes = 2\n[gmp.lan.igmp.limits]\ngroup = 1\n",
        &[
            "2:1: [gmp.lan.igmp] has no key robustnes: did you mean robustness?",
            "4:1: [gmp.lan.igmp.limits] has no key group: did you mean groups?",
        ],
    );
}

#[test]
fn wrong_types_and_ranges_say_what_to_write() {
    assert_mistakes(
        "[router]\ntable = 'ten'\nlog = 'syslog'\nfamilies = ['ipv4', 'ipx', 'ipv4']\ncontrol = 'mgm.sock'\n",
        &[
            "2:9: table is the text \"ten\": write a whole number from 1 to 999999999",
            "3:7: log is \"syslog\": write \"stderr\" or \"journald\"",
            "4:21: families has \"ipx\": write [\"ipv4\", \"ipv6\"]",
            "4:28: families names ipv4 twice: take one out",
            "5:11: control: \"mgm.sock\" is not an absolute path: write one such as /run/mgm.sock",
        ],
    );
    assert_mistakes(
        "[[interface]]\nname = 3\n[[interface]]\nthreshold = 300\nname = 'a name of an interface'\n",
        &[
            "2:8: name is the number 3: write a text in quotes",
            "4:13: threshold is 300: write a whole number from 1 to 254",
            "5:8: name: \"a name of an interface\" is no name of an interface: they have 1 to 15 characters, no space and no /",
        ],
    );
    assert_mistakes(
        "gmp = 1\nstatic.x = true\ninterface = 'a'\nroute = [1]\n",
        &[
            "1:7: gmp is the number 1: write sections [gmp.NAME]",
            "2:8: static.x is true: write a section [static.x] with its settings",
            "3:13: interface is the text \"a\": write sections [[interface]]",
            "4:10: route contains the number 1: write [[route]]",
        ],
    );
}

#[test]
fn an_interface_has_one_owner_of_a_role() {
    let owned =
        "[static.a]\n[static.b]\n[[interface]]\nname = 'east'\nprotocols = ['static.a', 'static.b']\n";
    assert_mistakes(
        owned,
        &[
            "5:26: protocols: static.a already owns \"east\" for IPv4, and an interface has one owner of a role: \
           take static.b out",
        ],
    );
    assert_mistakes(
        "[gmp.a]\n[gmp.b]\n[[interface]]\nname = 'east'\nprotocols = ['gmp.a', 'gmp.b', 'gmp.a', 'gmp.c']\n",
        &[
            "5:23: protocols: gmp.a already owns \"east\" for IPv4, and an interface has one owner of a role: take gmp.b out",
            "5:32: protocols names gmp.a twice: take one out",
            "5:41: protocols: there is no instance \"gmp.c\": did you mean \"gmp.a\"?",
        ],
    );
    let apart = "[static.a]\nfamilies = ['ipv4']\n[static.b]\nfamilies = ['ipv6']\n[gmp.c]\n[[interface]]\nname = 'east'\n\
                 protocols = ['static.a', 'static.b', 'gmp.c']\n";
    assert_mistakes(apart, &[]);
}

#[test]
fn joins_name_an_interface_of_a_static_instance_and_a_group() {
    assert_after_base("[[join]]\ninterface = 'east'\ngroup = 'ff3e::1'\nsource = 'fd00::1'\n", &[]);
    assert_after_base(
        "[[join]]\ninterface = 'east'\ngroup = '10.1.1.1'\n[[join]]\ninterface = 'eest'\ngroup = '239.1.1.1'\n",
        &[
            "11:9: group: 10.1.1.1 is not a multicast group: write an address or a prefix within 224.0.0.0/4",
            "13:13: interface: no [[interface]] has the name \"eest\": did you mean \"east\"?",
        ],
    );
    assert_after_base(
        "[[join]]\n[[join]]\ninterface = 'west'\ngroup = '239.1.1.1'\nsource = 'fd00::1'\n",
        &[
            "9:1: [[join]] has no group: add group = \"239.1.1.1\"",
            "9:1: [[join]] has no interface: add interface = \"eth0\"",
            "13:10: source fd00::1 and group 239.1.1.1 are of different address families",
        ],
    );
    assert_mistakes(
        "[gmp.lan]\n[[interface]]\nname = 'east'\nprotocols = ['gmp.lan']\n[[join]]\ninterface = 'east'\ngroup = '239.1.1.1'\n",
        &[
            "6:13: interface: no static instance owns \"east\" for IPv4 (its protocols: gmp.lan): add \"static.NAME\" to them",
        ],
    );
}

#[test]
fn entries_name_interfaces_of_one_static_instance() {
    let entry =
        "[[entry]]\nsource = '10.0.0.0/8'\ngroup = '239.1.0.0/16'\nincoming = 'east'\noutgoing = ['west']\n";
    assert_after_base(entry, &[]);
    let config = RouterConfig::parse(&format!("{BASE}{entry}")).unwrap();
    assert_eq!(config.entries[0].instance, "static.cameras");
    assert_after_base(
        "[[entry]]\nsource = '10.1.0.0/8'\ngroup = '239.1.0.0'\nincoming = 'east'\noutgoing = ['east', 'north']\n",
        &[
            "10:10: source: 10.1.0.0/8 has bits after its prefix length: write 10.0.0.0/8",
            "13:13: outgoing has the incoming interface \"east\": take it out",
            "13:21: outgoing: no [[interface]] has the name \"north\": there are east, west; make a [[interface]]",
        ],
    );
    assert_after_base(
        "[[entry]]\ngroup = '239.1.0.0/3'\nincoming = 'west'\n",
        &[
            "9:1: [[entry]] has no outgoing: add outgoing = [\"eth1\"]",
            "10:9: group: 239.1.0.0/3 has bits after its prefix length: write 224.0.0.0/3",
        ],
    );
}

#[test]
fn routes_are_networks_and_each_is_there_once() {
    assert_after_base(
        "[[route]]\nprefix = '10.0.0.0/8'\ninterface = 'west'\n[[route]]\nprefix = '10.0.0.0/8'\ninterface = 'west'\n\
         [[route]]\nprefix = '10.0.0.0/40'\ninterface = 'west'\n",
        &[
            "13:10: 10.0.0.0/8 has a [[route]] in line 10: take one out",
            "16:10: prefix: a prefix of 10.0.0.0 has at most 32 bits, not 40",
        ],
    );
}

#[test]
fn components_are_given_once_and_chosen_where_left_out() {
    let text = "[gmp.a]\n[gmp.b]\ncomponent = 0\n[static.c]\ncomponent = 7\n[static.d]\n";
    let config = RouterConfig::parse(text).unwrap();
    let components: Vec<_> = config.instances.iter().map(|i| (&*i.name, i.component)).collect();
    assert_eq!(components, [("gmp.a", 1), ("gmp.b", 0), ("static.c", 7), ("static.d", 0)]);
    assert_mistakes(
        "[static.a]\ncomponent = 3\n[static.b]\ncomponent = 3\n",
        &["4:13: component 3 is that of static.a: choose another"],
    );
}

#[test]
fn settings_of_igmp_are_checked_against_each_other() {
    assert_mistakes(
        "[gmp.a.igmp]\nrobustness = 9\nquery_interval = 10\nquery_response_interval = 10\nversion = 4\nleave = 'now'\n",
        &[
            "2:14: robustness is 9: write a whole number from 1 to 7",
            "4:27: query_response_interval 10s must be less than query_interval 10s: lower the one or raise the other",
            "5:11: version is 4: write a whole number from 1 to 3",
            "6:9: leave is \"now\": write \"auto\", \"query\" or \"immediate\"",
        ],
    );
    assert_mistakes(
        "[gmp.a.mld]\nsource_specific = ['232.0.0.0/8', 'fd00::/8']\nquery_interval = 'long'\n",
        &[
            "2:20: source_specific: 232.0.0.0/8 is not of IPv6: take it out",
            "2:35: source_specific: fd00::/8 is not a multicast group: write an address or a prefix within ff00::/8",
            "3:18: query_interval is the text \"long\": write a number of seconds, such as 125 or 0.5",
        ],
    );
}

#[test]
fn two_interfaces_of_one_name_are_one() {
    let twice = "[[interface]]\nname = 'east'\n[[interface]]\nname = 'east'\n";
    assert_mistakes(twice, &["4:8: \"east\" has an [[interface]] in line 2: put both into one"]);
}

#[test]
fn more_interfaces_than_the_kernel_has_are_refused() {
    let of = |count: usize| (0..count).map(|n| format!("[[interface]]\nname = 'e{n}'\n")).collect::<String>();
    assert_mistakes(&of(32), &[]);
    let mistakes = mistakes(&of(33));
    assert_eq!(mistakes.len(), 1);
    assert!(mistakes[0].starts_with("66:8: \"e32\" is interface 33"), "{mistakes:?}");
}

#[test]
fn every_mistake_of_the_syntax_has_its_place() {
    let mistakes = mistakes("[router]\ntable = \n\n[[interface]\nname = 'x'\n");
    assert!(mistakes.len() >= 2, "{mistakes:?}");
    assert!(mistakes[0].starts_with("2:") && mistakes[0].contains("this is not TOML"), "{mistakes:?}");
    assert!(mistakes.iter().any(|mistake| mistake.starts_with("4:")), "{mistakes:?}");
}
