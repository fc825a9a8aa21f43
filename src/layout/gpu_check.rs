//! GPUs of rows: finds the GPU or MIG device that a name means, and checks a row's GPU keys.

use std::collections::BTreeMap;

use super::budget::{Budget, EngineChoice};
use super::gpu_id::GpuId;
use super::units::Bytes;
use crate::machine::{Gpu, GpuPart, Gpus};

/// A GPU, or a MIG device of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuPlace<'g> {
    /// The GPU.
    pub gpu: &'g Gpu,
    /// The MIG device, if the name means one.
    pub part: Option<&'g GpuPart>,
}

impl GpuPlace<'_> {
    /// Returns its memory in bytes, if it is known.
    pub fn memory(&self) -> Option<u64> {
        self.part.map_or(self.gpu.memory, |part| part.memory)
    }

    fn uuid(&self) -> &str {
        self.part.map_or(&self.gpu.uuid, |part| &part.uuid)
    }

    /// Returns "GPU 0", or "MIG device MIG-..." for a part.
    pub fn name(&self) -> String {
        match self.part {
            None => format!("GPU {}", self.gpu.index),
            Some(part) => format!("MIG device {}", part.uuid),
        }
    }
}

/// Finds the GPU or MIG device of a name. Call this only if the machine's GPUs are known.
///
/// # Errors
/// A message that says which GPUs the machine has, or why this one cannot be used.
pub fn find_gpu<'g>(gpus: &'g Gpus, id: &GpuId) -> Result<GpuPlace<'g>, String> {
    let same = |uuid: &str, text: &str| uuid.eq_ignore_ascii_case(text);
    let found = gpus.devices.iter().find_map(|gpu| match id {
        GpuId::Index(index) => (gpu.index == *index).then_some(GpuPlace { gpu, part: None }),
        GpuId::Uuid(uuid) => same(&gpu.uuid, uuid).then_some(GpuPlace { gpu, part: None }),
        GpuId::Mig(uuid) => {
            let part = Some(gpu.parts.iter().find(|part| same(&part.uuid, uuid))?);
            Some(GpuPlace { gpu, part })
        }
    });
    let Some(place) = found else {
        return Err(format!("there is no GPU {id}: {}", listing(gpus)));
    };
    let fault = place.part.and_then(|part| part.fault.as_ref()).or(place.gpu.fault.as_ref());
    if let Some(fault) = fault {
        return Err(format!("GPU {id} cannot be used: {fault}"));
    }
    if place.gpu.is_mig_enabled && place.part.is_none() {
        let parts: Vec<&str> = place.gpu.parts.iter().map(|part| part.uuid.as_str()).collect();
        let advice = if parts.is_empty() {
            "but has no MIG device: create one, or turn MIG off".to_owned()
        } else {
            format!("use one of its MIG devices: {}", parts.join(", "))
        };
        return Err(format!("GPU {id} is in MIG mode, {advice}"));
    }
    Ok(place)
}

/// Describes the GPUs of the machine.
fn listing(gpus: &Gpus) -> String {
    if gpus.devices.is_empty() {
        return gpus.note.clone().unwrap_or_else(|| "no GPU was found".to_owned());
    }
    let names = gpus.devices.iter().flat_map(|gpu| {
        let own = format!("{} ({}, {})", gpu.index, gpu.name, gpu.uuid);
        std::iter::once(own).chain(gpu.parts.iter().map(|part| part.uuid.clone()))
    });
    format!("this machine has {}", names.collect::<Vec<_>>().join(", "))
}

/// A fault of a row's GPU keys.
pub(super) struct GpuFault {
    /// The key at fault.
    pub(super) key: &'static str,
    /// The message.
    pub(super) reason: String,
}

/// Checks that a row's keys fit each other, on any machine.
///
/// # Errors
/// The key at fault and a message.
pub(super) fn check_keys(budget: &Budget) -> Result<(), GpuFault> {
    let fault = |key, reason: &str| Err(GpuFault { key, reason: reason.to_owned() });
    match (&budget.gpu, budget.gpu_memory) {
        (None, Some(_)) => fault("gpu_memory", "a GPU memory limit needs a GPU: set `gpu` too"),
        (_, Some(Bytes(0))) => fault("gpu_memory", "a GPU memory limit must be 1 B or more"),
        (Some(_), _) if budget.engine == EngineChoice::Rten => fault(
            "gpu",
            "the engine rten runs on the CPU only: use the engine onnxruntime for a GPU",
        ),
        _ => Ok(()),
    }
}

/// Checks a row's GPU keys against a machine. Accepts any GPU if the machine's are not known.
///
/// # Errors
/// The key at fault, and a message that says what the machine has.
pub(super) fn check_on_machine(budget: &Budget, gpus: &Gpus) -> Result<(), GpuFault> {
    check_keys(budget)?;
    let Some(id) = budget.gpu.as_ref().filter(|_| !gpus.devices.is_empty()) else { return Ok(()) };
    let place = find_gpu(gpus, id).map_err(|reason| GpuFault { key: "gpu", reason })?;
    match (budget.gpu_memory, place.memory()) {
        (Some(limit), Some(memory)) if limit.0 > memory => Err(GpuFault {
            key: "gpu_memory",
            reason: format!(
                "a limit of {limit} exceeds the memory of {}, {}",
                place.name(),
                Bytes(memory).rounded()
            ),
        }),
        _ => Ok(()),
    }
}

/// Memory limits on one GPU whose sum exceeds its memory.
pub(super) struct ExceededLimit {
    /// The sum of the limits, in bytes.
    pub(super) sum: u64,
    /// The index of the last row with such a limit.
    pub(super) last: usize,
    /// The message.
    pub(super) message: String,
}

/// Returns the GPUs whose memory the rows' limits exceed in sum, by UUID.
pub(super) fn exceeded_limits<'b>(
    rows: impl Iterator<Item = &'b Budget>,
    gpus: &Gpus,
) -> BTreeMap<String, ExceededLimit> {
    let mut sums: BTreeMap<String, (u64, usize, GpuPlace<'_>)> = BTreeMap::new();
    for (index, row) in rows.enumerate() {
        let (Some(id), Some(limit)) = (&row.gpu, row.gpu_memory) else { continue };
        let Ok(place) = find_gpu(gpus, id) else { continue };
        let entry = sums.entry(place.uuid().to_owned()).or_insert((0, index, place));
        entry.0 = entry.0.saturating_add(limit.0);
        entry.1 = index;
    }
    let exceeded = |(uuid, (sum, last, place)): (String, (u64, usize, GpuPlace<'_>))| {
        let memory = place.memory().filter(|memory| sum > *memory)?;
        let message = format!(
            "the memory limits on {} add up to {}, but it has {}",
            place.name(),
            Bytes(sum),
            Bytes(memory).rounded()
        );
        Some((uuid, ExceededLimit { sum, last, message }))
    };
    sums.into_iter().filter_map(exceeded).collect()
}

#[cfg(test)]
mod tests {
    use super::super::ModelSource;
    use super::*;

    const UUID_OF_GPU: &str = "GPU-3f2a0b1c-0123-4567-89ab-cdef01234567";
    const PART: &str = "MIG-3f2a0b1c-0123-4567-89ab-cdef01234567";

    fn gpus() -> Gpus {
        let part = GpuPart { uuid: PART.to_owned(), memory: Some(10 << 30), ..GpuPart::default() };
        let cut = Gpu {
            index: 1,
            name: "X".to_owned(),
            uuid: UUID_OF_GPU.to_owned(),
            memory: Some(80 << 30),
            is_mig_enabled: true,
            parts: vec![part],
            ..Gpu::default()
        };
        let whole = Gpu { memory: Some(8 << 30), uuid: "GPU-0".to_owned(), ..Gpu::default() };
        let fault = Some("fell off the bus".to_owned());
        let lost = Gpu { index: 2, fault, ..Gpu::default() };
        Gpus { devices: vec![whole, cut, lost], note: None }
    }

    fn find(gpus: &Gpus, text: &str) -> Result<(u32, Option<String>), String> {
        let place = find_gpu(gpus, &text.parse().unwrap())?;
        Ok((place.gpu.index, place.part.map(|part| part.uuid.clone())))
    }

    fn row(gpu: &str, limit: Option<u64>) -> Budget {
        Budget {
            gpu: Some(gpu.parse().unwrap()),
            gpu_memory: limit.map(|gibibytes| Bytes(gibibytes << 30)),
            ..Budget::new("a", ModelSource::Embedded("ranker.onnx".into()))
        }
    }

    #[test]
    fn finds_gpus_by_index_or_identifier() {
        assert_eq!(find(&gpus(), "0"), Ok((0, None)));
        assert_eq!(find(&gpus(), PART), Ok((1, Some(PART.to_owned()))));
    }

    #[test]
    fn missing_gpu_error_lists_present_ones() {
        let error = find(&gpus(), "9").unwrap_err();
        assert!(error.starts_with("there is no GPU 9: this machine has "), "{error}");
        assert!(error.contains(UUID_OF_GPU) && error.contains(PART), "{error}");
        let none = Gpus { note: Some("no NVIDIA GPU".to_owned()), ..Gpus::default() };
        assert_eq!(find(&none, "0").unwrap_err(), "there is no GPU 0: no NVIDIA GPU");
    }

    #[test]
    fn rejects_failed_gpus() {
        assert_eq!(find(&gpus(), "2").unwrap_err(), "GPU 2 cannot be used: fell off the bus");
        let error = find(&gpus(), UUID_OF_GPU).unwrap_err();
        assert!(error.contains("in MIG mode") && error.contains(PART), "{error}");
    }

    #[test]
    fn limits_are_checked_singly_then_in_sum() {
        let check = |row: &Budget| {
            check_on_machine(row, &gpus()).map_err(|fault| (fault.key, fault.reason))
        };
        assert_eq!(check(&row("0", Some(8))), Ok(()));
        assert_eq!(check(&row("0", None)), Ok(()));
        assert_eq!(
            check(&row("0", Some(9))),
            Err(("gpu_memory", "a limit of 9GiB exceeds the memory of GPU 0, 8.0 GiB".to_owned()))
        );
        assert!(check(&row(PART, Some(11))).is_err(), "a part has its own size");
        assert_eq!(check(&row("9", None)).unwrap_err().0, "gpu");
        let rows = [row("0", Some(5)), row("0", Some(4)), row(PART, Some(10)), row("0", None)];
        let messages: Vec<String> = exceeded_limits(rows.iter(), &gpus())
            .into_values()
            .map(|limit| limit.message)
            .collect();
        assert_eq!(messages, ["the memory limits on GPU 0 add up to 9GiB, but it has 8.0 GiB"]);
    }

    #[test]
    fn unknown_gpus_leave_only_key_checks() {
        let unknown = Gpus::default();
        assert!(check_on_machine(&row("9", Some(999)), &unknown).is_ok());
        let rten = Budget { engine: EngineChoice::Rten, ..row("0", None) };
        assert_eq!(check_on_machine(&rten, &unknown).err().map(|fault| fault.key), Some("gpu"));
        let alone = Budget { gpu: None, ..row("0", Some(1)) };
        assert_eq!(
            check_on_machine(&alone, &unknown).err().map(|fault| fault.key),
            Some("gpu_memory")
        );
    }
}
