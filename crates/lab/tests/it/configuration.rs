use mainstay_lab::processes::{Folder, LabPlan, Wanted, render_configuration};
use std::path::PathBuf;

fn plan() -> LabPlan {
    plan_with(None)
}

fn plan_with(etcd: Option<PathBuf>) -> LabPlan {
    let wanted = Wanted {
        seed: 1,
        accounts: 10,
        rate: 1.0,
        workers: 1,
        load_seconds: 2,
        cool_down_seconds: 600,
        added: String::new(),
        fence: None,
    };
    LabPlan::make(wanted, PathBuf::from("mainstay"), PathBuf::from("postgres"), etcd)
        .expect("there are free ports")
}

#[test]
fn the_sites_files_differ_only_in_their_folder_and_in_how_other_sites_are_reached() {
    let plan = plan();
    let folder = Folder::at("lab");
    let [east, west] = ["east", "west"].map(|site| render_configuration(&plan, &folder, site));
    assert_eq!(east.lines().count(), west.lines().count());
    let may_differ = ["agent", "address", "peer", "password", "directory"];
    for (a, b) in east.lines().skip(1).zip(west.lines().skip(1)).filter(|(a, b)| a != b) {
        let [a_key, b_key] = [a, b].map(|line| line.split(" = ").next());
        assert_eq!(a_key, b_key);
        assert!(a_key.is_some_and(|key| may_differ.contains(&key)), "{a}\n{b}");
    }
}

#[test]
fn every_way_from_one_site_to_another_leads_through_the_network() {
    let plan = plan_with(Some(PathBuf::from("etcd")));
    let folder = Folder::at("lab");
    for here in ["east", "west", "witness"] {
        let text = render_configuration(&plan, &folder, here);
        let keys = ["agent = ", "address = ", "peer = ", "endpoints = "];
        let lines = text.lines().filter(|line| keys.iter().any(|key| line.starts_with(key)));
        for way in lines.flat_map(|line| line.split('"').skip(1).step_by(2)) {
            let address = way.trim_start_matches("https://").parse().unwrap();
            let route = plan.routes.iter().find(|route| route.listen == address);
            match route {
                Some(route) => assert_eq!(route.from, here, "{way}"),
                None => assert!(
                    is_at(&plan, here, address),
                    "{here} reaches another site directly: {way}"
                ),
            }
        }
    }
}

fn is_at(plan: &LabPlan, site: &str, address: std::net::SocketAddr) -> bool {
    let site = plan.site(site).expect("the site is of the plan");
    let data = site.data.iter().flat_map(|data| [data.postgres, data.gate_http, data.gate_peer]);
    let member = site.etcd.iter().map(|member| member.client);
    data.chain(member).chain([site.agent]).any(|own| own == address)
}

#[test]
fn no_password_stands_in_a_configuration() {
    let plan = plan();
    let text = render_configuration(&plan, &Folder::at("lab"), "east");
    for line in text.lines().filter(|line| line.contains("password")) {
        assert!(line.starts_with("password = \"file:"), "{line}");
    }
}
