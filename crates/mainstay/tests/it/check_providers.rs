//! `mainstay check`: zones at providers with an API.

use crate::check::told;

const NAMES: &str = r#"
[applications.bank.names."bank.example.org"]
ttl = "60s"

[applications.bank.names."bank.example.org".addresses]
east = ["192.0.2.10"]
west = ["198.51.100.10"]

[tls]"#;

const ROUTE_53: &str = r#"[dns."example.org"]
kind = "route53"

[dns."example.org".route53]
zone-id = "Z0123456789ABC"
access-key = "env:BANK_DB_PASSWORD"
secret-key = "env:BANK_DB_PASSWORD"

[applications.bank.names."bank.example.org".weights]
east = 95
west = 5

[applications.bank.names."bank.example.org".health-checks]
east = "11111111-2222-3333-4444-555555555555"
west = "66666666-7777-8888-9999-000000000000"
"#;

const CLOUDFLARE: &str = r#"[dns."example.org"]
kind = "cloudflare"

[dns."example.org".cloudflare]
token = "env:BANK_DB_PASSWORD"
"#;

const AZURE: &str = r#"[dns."example.org"]
kind = "azure"

[dns."example.org".azure]
subscription = "00000000-1111-2222-3333-444444444444"
resource-group = "dns_(production)"
tenant = "55555555-6666-7777-8888-999999999999"
client-id = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
client-secret = "env:BANK_DB_PASSWORD"
"#;

/// The example with such a zone and a name in it, and these lines changed.
fn told_of(name: &str, zone: &str, edits: &[(&str, &str)]) {
    let mut text = format!("{zone}{NAMES}");
    for (from, to) in edits {
        assert!(text.contains(from), "{from:?} is not there");
        text = text.replacen(from, to, 1);
    }
    told(name, &[("[tls]", &text)], &[]);
}

#[test]
fn a_zone_at_route_53_has_a_whole_key_or_none_and_weights_with_health_checks() {
    told_of("route53-good", ROUTE_53, &[]);
    let key = "access-key = \"env:BANK_DB_PASSWORD\"\nsecret-key = \"env:BANK_DB_PASSWORD\"\n";
    told_of("route53-by-the-machines-role", ROUTE_53, &[(key, "")]);
    told_of(
        "route53-with-half-a-key",
        ROUTE_53,
        &[("secret-key = \"env:BANK_DB_PASSWORD\"\n", "")],
    );
    let unchecked = [("health-checks]", "networks]"), ("east = 95", "east = 256")];
    told_of("route53-weights-without-checks", ROUTE_53, &unchecked);
    let one = [("west = \"66666666-7777-8888-9999-000000000000\"\n", "")];
    told_of("route53-one-site-unchecked", ROUTE_53, &one);
    let plain = [("zone-id", "endpoint = \"http://192.0.2.1\"\nzone-id")];
    told_of("route53-not-encrypted", ROUTE_53, &plain);
}

#[test]
fn a_zone_at_cloudflare_has_a_token_and_a_ttl_that_it_takes() {
    told_of("cloudflare-good", CLOUDFLARE, &[]);
    told_of("cloudflare-ttl-of-enterprise", CLOUDFLARE, &[("ttl = \"60s\"", "ttl = \"30s\"")]);
    told_of("cloudflare-ttl-too-short", CLOUDFLARE, &[("ttl = \"60s\"", "ttl = \"5s\"")]);
    told_of("cloudflare-strays", CLOUDFLARE, &[(".cloudflare]\ntoken", ".route53]\naccess-key")]);
}

#[test]
fn a_zone_at_azure_has_a_whole_client_or_the_machines_identity() {
    told_of("azure-good", AZURE, &[]);
    let client = "client-id = \"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\"\n";
    let tenant = "tenant = \"55555555-6666-7777-8888-999999999999\"\n";
    let secret = "client-secret = \"env:BANK_DB_PASSWORD\"\n";
    let machine = [(client, ""), (tenant, ""), (secret, "")];
    told_of("azure-by-the-machines-identity", AZURE, &machine);
    told_of("azure-without-a-secret", AZURE, &[(secret, "")]);
    told_of("azure-without-a-client", AZURE, &[(client, "")]);
    told_of("azure-group-of-no-name", AZURE, &[("dns_(production)", "dns/production")]);
    told_of("azure-strays", AZURE, &[("kind = \"azure\"", "kind = \"cloudflare\"")]);
}
