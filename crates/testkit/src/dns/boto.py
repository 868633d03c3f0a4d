"""Amazon's own client, as a person with the key would use it: URL KEY SECRET COMMAND [JSON]"""
import boto3, json, sys

url, key, secret, command = sys.argv[1:5]
client = boto3.client("route53", endpoint_url=url, region_name="us-east-1",
                      aws_access_key_id=key, aws_secret_access_key=secret)


def zone():
    found = client.list_hosted_zones_by_name(DNSName="example.org")["HostedZones"]
    return found[0]["Id"].split("/")[-1]


if command == "create":
    made = client.create_hosted_zone(Name="example.org", CallerReference="test")
    print(json.dumps(made["DelegationSet"]["NameServers"]))
elif command == "change":
    client.change_resource_record_sets(
        HostedZoneId=zone(), ChangeBatch={"Changes": json.loads(sys.argv[5])})
else:
    pages = client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone())
    sets = [one for page in pages for one in page["ResourceRecordSets"]]
    print(json.dumps([one for one in sets if one["Type"] not in ("NS", "SOA")]))
