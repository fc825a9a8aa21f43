//! Reads the state of the server at each scrape and writes its metrics.

use std::fmt;

use super::family_writer::{BYTES, FamilyWriter, Labels};
use super::reading::{
    ClientReading, ModelReading, RowReading, read_clients, read_models, read_rows,
};
use crate::server::serve_error::ErrorKind;
use crate::server::state::ServerState;
use crate::telemetry::{
    AuthorKind, ChangeCounts, ChangeOutcome, RequestCounts, TimeTotals, VerdictResult,
};

/// Writes the metrics of a server.
pub(super) fn write_metrics(state: &ServerState, text: &mut String) -> fmt::Result {
    let models = read_models(state);
    let mut writer = FamilyWriter::new(text);
    write_clients(&mut writer, &read_clients(state, &models))?;
    write_requests(&mut writer, &models)?;
    write_times(&mut writer, &models)?;
    let snapshot = state.models.snapshot();
    let rows = read_rows(state, &snapshot);
    write_rows(&mut writer, &rows)?;
    write_memory(&mut writer, &rows)?;
    write_changes(&mut writer, &snapshot.change_counts)?;
    write_server(&mut writer, state)?;
    writer.gauges(
        "divvy_alerts",
        None,
        "Messages about something that is wrong",
        [(Vec::new(), snapshot.alerts.len() as u64)],
    )?;
    let version = env!("CARGO_PKG_VERSION");
    writer.info("divvy_build", "The version of divvy", &vec![("version", version)])?;
    writer.end();
    Ok(())
}

fn labels<'a>(name: &'a str, version: &'a str) -> Labels<'a> {
    vec![("model", name), ("version", version)]
}

fn labels_with<'a>(
    name: &'a str,
    version: &'a str,
    more: &'static str,
    value: &'a str,
) -> Labels<'a> {
    vec![("model", name), ("version", version), (more, value)]
}

fn write_clients(writer: &mut FamilyWriter<'_>, clients: &[ClientReading]) -> fmt::Result {
    let samples = clients.iter().flat_map(|client| {
        let (name, version, activity) = (&client.name, &client.version, &client.activity);
        let of = |outcome| labels_with(name, version, "outcome", outcome);
        let refused =
            ErrorKind::ALL.into_iter().map(move |kind| (of(kind.name()), activity.refused(kind)));
        [(of("answered"), activity.answered())].into_iter().chain(refused)
    });
    writer.counters("divvy_client_requests", "Requests from outside by outcome", samples)
}

fn write_requests(writer: &mut FamilyWriter<'_>, models: &[ModelReading]) -> fmt::Result {
    type Count = fn(&RequestCounts) -> u64;
    let results = models.iter().flat_map(|model| {
        let of = |result| labels_with(&model.name, &model.version, "result", result);
        let counts = &model.counts;
        [
            (of("completed"), counts.completed),
            (of("failed"), counts.failed),
            (of("rejected"), counts.rejected),
            (of("timed_out"), counts.timed_out),
            (of("cancelled"), counts.cancelled),
        ]
    });
    writer.counters(
        "divvy_requests",
        "Requests of the pool by result, built-in load included",
        results,
    )?;
    let states: [(&str, &str, Count); 3] = [
        ("divvy_requests_executing", "Requests in an instance", |counts| counts.executing),
        ("divvy_requests_queued", "Requests in the queue", |counts| counts.queued),
        ("divvy_requests_blocked", "Requests that wait for room in the queue", |counts| {
            counts.blocked
        }),
    ];
    for (name, help, count) in states {
        let samples =
            models.iter().map(|model| (labels(&model.name, &model.version), count(&model.counts)));
        writer.gauges(name, None, help, samples)?;
    }
    Ok(())
}

fn write_times(writer: &mut FamilyWriter<'_>, models: &[ModelReading]) -> fmt::Result {
    type Times = fn(&ModelReading) -> &TimeTotals;
    let times: [(&str, &str, Times); 3] = [
        ("divvy_request_queue", "Time of completed requests before an instance", |model| {
            &model.totals.queue
        }),
        ("divvy_request_compute", "Time of completed requests in an instance", |model| {
            &model.totals.compute
        }),
        ("divvy_request_duration", "Queue and compute time of completed requests", |model| {
            &model.totals.total
        }),
    ];
    for (name, help, of) in times {
        let samples = models.iter().map(|model| (labels(&model.name, &model.version), of(model)));
        writer.histograms(name, help, samples)?;
    }
    Ok(())
}

fn write_rows(writer: &mut FamilyWriter<'_>, rows: &[RowReading]) -> fmt::Result {
    type Value = fn(&RowReading) -> u64;
    let of_models: [(&str, &str, Value); 2] = [
        ("divvy_model_ready", "1 if the model accepts requests and runs them", |row| {
            u64::from(row.is_ready)
        }),
        ("divvy_model_concurrency", "Requests that may run at once", |row| row.concurrency),
    ];
    for (name, help, value) in of_models {
        let models = rows.iter().filter(|row| row.is_model());
        let samples = models.map(|row| (labels(&row.name, &row.version), value(row)));
        writer.gauges(name, None, help, samples)?;
    }
    let of_rows: [(&str, &str, Value); 2] = [
        ("divvy_model_cores", "CPUs of the model or the processes, loans included", |row| {
            row.cores
        }),
        ("divvy_model_weight", "Weight on shared CPUs", |row| row.weight),
    ];
    for (name, help, value) in of_rows {
        let samples = rows.iter().map(|row| (labels(&row.name, &row.version), value(row)));
        writer.gauges(name, None, help, samples)?;
    }
    let cpu = rows.iter().map(|row| (labels(&row.name, &row.version), row.cpu));
    writer.seconds("divvy_model_cpu", "CPU time of the threads", cpu)
}

fn write_memory(writer: &mut FamilyWriter<'_>, rows: &[RowReading]) -> fmt::Result {
    let parts = rows.iter().flat_map(|row| {
        let of = |(part, size)| (labels_with(&row.name, &row.version, "part", part), size);
        row.memory_parts().into_iter().map(of)
    });
    writer.gauges("divvy_model_memory", BYTES, "Memory that the budget limits, by part", parts)?;
    let outputs = rows
        .iter()
        .filter(|row| row.is_model())
        .map(|row| (labels(&row.name, &row.version), row.memory.in_flight_bytes.unwrap_or(0)));
    writer.gauges("divvy_model_outputs", BYTES, "Outputs that are still to be sent", outputs)
}

fn write_changes(writer: &mut FamilyWriter<'_>, counts: &ChangeCounts) -> fmt::Result {
    let changes = AuthorKind::ALL.into_iter().flat_map(|author| {
        ChangeOutcome::ALL.map(|outcome| {
            let labels = vec![("author", author.name()), ("outcome", outcome.name())];
            (labels, counts.changes(author, outcome))
        })
    });
    writer.counters("divvy_changes", "Changes of the layout by author and outcome", changes)?;
    let verdicts =
        VerdictResult::ALL.map(|result| (vec![("result", result.name())], counts.verdicts(result)));
    writer.counters("divvy_verdicts", "Verdicts on changes by result", verdicts)
}

fn write_server(writer: &mut FamilyWriter<'_>, state: &ServerState) -> fmt::Result {
    let (activity, in_flight) = (&state.activity, &state.in_flight);
    let one = |value: u64| [(Vec::new(), value)];
    let limit = state.limits().connections as u64;
    writer.gauges(
        "divvy_connections",
        None,
        "Open connections",
        one(activity.open_connections() as u64),
    )?;
    writer.gauges("divvy_connections_limit", None, "The bound on connections", one(limit))?;
    writer.counters(
        "divvy_refused_connections",
        "Connections closed at once because of the bound",
        one(activity.refused_connections()),
    )?;
    writer.counters(
        "divvy_accept_errors",
        "Connections that could not be accepted",
        one(activity.accept_errors()),
    )?;
    writer.gauges(
        "divvy_in_flight",
        BYTES,
        "Requests and answers in flight",
        one(in_flight.used()),
    )?;
    writer.gauges(
        "divvy_in_flight_limit",
        BYTES,
        "The bound on requests and answers in flight",
        one(in_flight.limit()),
    )
}
