//! A person's steps, as the engine makes them.

use super::{Resolver, value};
use crate::config::reader::At;
use crate::config::typed;
use crate::config::typed::runbook::Step;
use crate::config::values::WorkKind;
use mainstay_core::Secret;
use mainstay_core::runbook::{
    Call, Check, Deploy, OwnStep, Place, Repoint, Run, RunbookName, Settings, Warm, Work,
};
use std::collections::BTreeMap;

impl Resolver<'_> {
    pub(super) fn runbooks(
        &mut self,
        application: &typed::Application,
    ) -> Option<BTreeMap<RunbookName, Vec<OwnStep>>> {
        let Some(runbook) = &application.runbook else { return Some(BTreeMap::new()) };
        let all = [
            (RunbookName::Failover, &runbook.value.failover),
            (RunbookName::Switchover, &runbook.value.switchover),
            (RunbookName::Failback, &runbook.value.failback),
        ];
        let mut read = BTreeMap::new();
        for (name, steps) in all {
            let Some(steps) = steps else { continue };
            let own = steps.value.iter().map(|step| self.step(&step.value));
            read.insert(name, own.collect::<Option<Vec<_>>>()?);
        }
        Some(read)
    }

    fn step(&mut self, typed: &Step) -> Option<OwnStep> {
        let place = match (&typed.after, &typed.before, &typed.instead) {
            (Some(at), None, None) => Place::After(at.value.clone()),
            (None, Some(at), None) => Place::Before(at.value.clone()),
            (None, None, Some(at)) => Place::Instead(at.value.clone()),
            _ => return None,
        };
        Some(OwnStep {
            place,
            name: value(&typed.name)?,
            work: self.work(typed)?,
            settings: settings(typed)?,
            environment: self.environment(typed)?,
        })
    }

    fn environment(&mut self, typed: &Step) -> Option<BTreeMap<String, Secret>> {
        let mut read = BTreeMap::new();
        let entries = typed.environment.iter().filter(|_| self.secrets);
        for (name, reference) in entries.flat_map(|table| &table.value).collect::<Vec<_>>() {
            read.insert(name.0.clone(), self.secret(Some(reference))??);
        }
        Some(read)
    }

    fn work(&mut self, typed: &Step) -> Option<Work> {
        Some(match typed.kind.as_ref()?.value {
            WorkKind::Run => Work::Run(run(typed)?),
            WorkKind::Scale => Work::Scale(run(typed)?),
            WorkKind::Http => Work::Http(self.call(typed, "POST")?),
            WorkKind::Repoint => Work::Repoint(repoint(typed)?),
            WorkKind::Warm => Work::Warm(Warm {
                list: value(&typed.list)?,
                address: typed.address.as_ref()?.value.to_string(),
                concurrency: value(&typed.concurrency)?.0,
                most_failures: value(&typed.most_failures)?.0,
            }),
            WorkKind::Verify => Work::Verify(self.check(typed)?),
            WorkKind::Deploy => Work::Deploy(Deploy {
                version: words(&typed.version),
                wanted: words(&typed.wanted),
            }),
            WorkKind::Wait => Work::Wait { span: value(&typed.span)? },
            WorkKind::Approve => Work::Approve { question: value(&typed.text)? },
            WorkKind::Notify => Work::Notify { message: value(&typed.text)? },
        })
    }

    fn check(&mut self, typed: &Step) -> Option<Check> {
        let Some(store) = &typed.store else { return Some(Check::Http(self.call(typed, "GET")?)) };
        Some(Check::Sql {
            store: store.value.clone(),
            query: value(&typed.query)?,
            expect: value(&typed.expect),
            at_least: value(&typed.at_least).map(|count| count.0),
        })
    }

    fn call(&mut self, typed: &Step, method: &str) -> Option<Call> {
        let authority = typed.authority.as_ref().map(|written| {
            let path = self.vault.path(&written.value);
            self.must_exist(written, &[&path]);
            path
        });
        let status = value(&typed.status).map_or(200..=299, |statuses| statuses.0);
        Some(Call {
            method: value(&typed.method).unwrap_or_else(|| method.to_owned()),
            address: typed.address.as_ref()?.value.to_string(),
            path: value(&typed.path).map_or_else(|| "/".to_owned(), |path| path.0),
            body: value(&typed.body),
            status: (*status.start(), *status.end()),
            authority,
            link_local: value(&typed.link_local)?,
            repeatable: value(&typed.repeatable)?,
        })
    }
}

fn settings(typed: &Step) -> Option<Settings> {
    Some(Settings {
        group: value(&typed.group),
        to: value(&typed.to),
        needs: words(&typed.needs),
        timeout: value(&typed.timeout)?,
        tries: value(&typed.tries)?.0,
        pause: value(&typed.pause)?,
        optional: value(&typed.optional)?,
    })
}

fn run(typed: &Step) -> Option<Run> {
    Some(Run {
        command: words(&typed.command),
        probe: words(&typed.probe),
        undo: words(&typed.undo),
        repeatable: value(&typed.repeatable)?,
    })
}

fn repoint(typed: &Step) -> Option<Repoint> {
    let variables = typed.variables.as_ref()?.value.iter();
    Some(Repoint {
        file: value(&typed.file)?,
        variables: variables.map(|(name, at)| (name.0.clone(), at.value.clone())).collect(),
        reload: words(&typed.reload),
    })
}

fn words(at: &Option<At<Vec<At<String>>>>) -> Vec<String> {
    at.iter().flat_map(|at| &at.value).map(|word| word.value.clone()).collect()
}
