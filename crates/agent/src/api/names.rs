//! The application's names in DNS, for people.

use crate::agent::Agent;
use crate::error::Refused;
use crate::names::{is_right, wanted};
use crate::time::unix_micros;
use crate::types::{AnswerView, NameView, ServerView, Trace, TraceQuery};
use mainstay_traffic::dns::{Answer, DnsError, look};

pub async fn trace(agent: &Agent, query: &TraceQuery) -> Result<Trace, Refused> {
    let name = query.name.trim_end_matches('.').to_ascii_lowercase();
    let mut applications = agent.applications.values();
    let application = applications
        .find(|application| application.spec.names.contains_key(&name))
        .ok_or_else(|| unknown(agent, &name))?;
    let published = &application.spec.names[&name];
    let record = application.known().facts.record.as_ref().map(|seen| seen.record.clone());
    let Some(zone) = application.context.estate.dns.get(&published.zone) else {
        return Err(unknown(agent, &name));
    };
    let of = record.and_then(|it| wanted(&application.spec.name, &name, published, &it, zone));
    let of = of.ok_or_else(|| {
        Refused::new(
            "MS-AGENT-014",
            "the coordinator has not told yet which site is active".to_owned(),
            "try again, or look at `mainstay status`",
        )
    })?;
    let Some(publisher) = application.context.dns.get(&published.zone) else {
        return Err(unknown(agent, &name));
    };
    let known = application.known().names.get(&name).and_then(|known| known.view(&name));
    let since = |server: &str, answer: &AnswerView| {
        let seen = known.as_ref()?.servers.iter().find(|seen| seen.server == server)?;
        seen.since_micros.filter(|_| seen.answer.same_as(answer))
    };
    let shown = |server: String, answer: &Result<Answer, DnsError>, right: bool| {
        let answer = AnswerView::of(answer);
        let since_micros = since(&server, &answer);
        ServerView { server, right, answer, since_micros }
    };
    let answers = publisher.answers(&name).await.into_iter();
    let servers: Vec<ServerView> =
        answers.map(|(server, answer)| shown(server, &answer, is_right(&answer, &of))).collect();
    let mut resolvers = Vec::new();
    for resolver in &publisher.zone().resolvers {
        let answer = look(resolver, &name).await;
        let right = answer.as_ref().is_ok_and(|answer| answer.leads_as(&of));
        resolvers.push(shown(resolver.clone(), &answer, right));
    }
    let name = NameView {
        name,
        site: of.note.site.clone(),
        epoch: of.note.epoch,
        addresses: of.addresses.iter().copied().collect(),
        right: servers.iter().all(|server| server.right),
        moved_s: known.and_then(|known| known.moved_s),
        servers,
    };
    let application = application.spec.name.clone();
    Ok(Trace { application, name, resolvers, now_micros: unix_micros() })
}

fn unknown(agent: &Agent, name: &str) -> Refused {
    let names: Vec<&str> = agent
        .applications
        .values()
        .flat_map(|application| application.spec.names.keys().map(String::as_str))
        .collect();
    let advice = match names.is_empty() {
        true => "no application of this file has a name: add [applications.<application>.names]"
            .to_owned(),
        false => format!("names of this file: {}", names.join(", ")),
    };
    Refused::new("MS-DNS-009", format!("{name:?} is not a published name"), advice)
}
