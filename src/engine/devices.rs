//! CUDA's numbers of the GPUs in this process, matched with the driver's numbers, which layouts and
//! the screen use.
//!
//! NVML, the driver's own library, numbers all GPUs in bus order. CUDA numbers only the GPUs in
//! `CUDA_VISIBLE_DEVICES`, fastest first unless `CUDA_DEVICE_ORDER` sets another order. A process
//! that uses a MIG device sees only this one device and no whole GPU.
#![allow(unsafe_code)]

use std::env;

use crate::layout::{GpuId, Layout, find_gpu};
use crate::machine::Gpus;

/// The variable that lists the devices CUDA shows this process, in order.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";
/// The variable that sets CUDA's order.
const ORDER: &str = "CUDA_DEVICE_ORDER";
/// The order of NVML.
const BUS_ORDER: &str = "PCI_BUS_ID";

/// Makes CUDA number GPUs as the driver does, and selects the MIG device of a layout that names one
/// MIG device and no other GPU. Variables that the user has set stay.
///
/// Call it before models are loaded and sensors start: from then on libraries in other languages
/// run on threads of their own, and these read the environment without std's lock.
pub(crate) fn set_cuda_environment(layout: &Layout) {
    set(ORDER, BUS_ORDER);
    let mut named: Vec<&GpuId> = layout.models.iter().filter_map(|row| row.gpu.as_ref()).collect();
    named.sort_unstable();
    named.dedup();
    if let [GpuId::Mig(uuid)] = named.as_slice() {
        set(VISIBLE, uuid);
    }
}

fn set(name: &str, value: &str) {
    if env::var_os(name).is_none() {
        // SAFETY: callers of `set_cuda_environment` guarantee that no foreign library has a thread
        // yet. Our own threads, such as the log's, read the environment only through std, whose
        // lock this call takes too. No other code writes the environment.
        unsafe { env::set_var(name, value) };
    }
}

/// Returns CUDA's number of a GPU in this process.
///
/// # Errors
/// A message with the reason why the GPU cannot be used, and what to do.
pub fn ordinal(id: &GpuId, gpus: &Gpus) -> Result<u32, String> {
    let visible = env::var(VISIBLE).ok();
    let order = env::var(ORDER).ok();
    ordinal_in(id, gpus, visible.as_deref(), order.as_deref())
}

fn ordinal_in(
    id: &GpuId,
    gpus: &Gpus,
    visible: Option<&str>,
    order: Option<&str>,
) -> Result<u32, String> {
    let place = if gpus.devices.is_empty() { None } else { Some(find_gpu(gpus, id)?) };
    let index = place.map(|place| place.gpu.index).or(match id {
        GpuId::Index(index) => Some(*index),
        GpuId::Uuid(_) | GpuId::Mig(_) => None,
    });
    if let Some(order) = order.filter(|order| *order != BUS_ORDER)
        && gpus.devices.len() != 1
        && !matches!(id, GpuId::Mig(_))
    {
        return Err(format!(
            "with {ORDER}={order} CUDA numbers the GPUs in a different order, so divvy cannot find \
             {}: unset the variable, or set it to {BUS_ORDER}",
            id.title()
        ));
    }
    if let Some(visible) = visible {
        let uuid = place.map(|place| place.part.map_or(&place.gpu.uuid, |part| &part.uuid));
        let names = |entry: &str| match id {
            _ if entry.parse().ok() == index && index.is_some() => !matches!(id, GpuId::Mig(_)),
            GpuId::Uuid(named) | GpuId::Mig(named) => is_prefix(named, entry),
            GpuId::Index(_) => uuid.is_some_and(|uuid| is_prefix(uuid, entry)),
        };
        let found = visible.split(',').map(str::trim).position(names);
        return found.and_then(|at| u32::try_from(at).ok()).ok_or_else(|| {
            format!("{VISIBLE}={visible} hides {} from this process: start it without", id.title())
        });
    }
    match (id, index) {
        (GpuId::Mig(uuid), _) => Err(format!(
            "CUDA shows a process one MIG device, chosen when it starts: start divvy with \
             {VISIBLE}={uuid}, or with a layout that names this one and no other GPU"
        )),
        (_, Some(index)) if gpus.devices.iter().any(|gpu| gpu.is_mig_enabled) => Err(format!(
            "GPUs that are cut into MIG devices hide whole ones from CUDA: start divvy with \
             {VISIBLE}={index}"
        )),
        (_, Some(index)) => Ok(index),
        (_, None) => Err(format!(
            "{} cannot be found without the driver's list of devices: {}; name it by its index",
            id.title(),
            gpus.note.as_deref().unwrap_or("none was found")
        )),
    }
}

/// Returns true if `entry` is the identifier or a prefix of it, which CUDA accepts too.
fn is_prefix(uuid: &str, entry: &str) -> bool {
    let is_identifier = entry.len() > "GPU-".len();
    is_identifier && uuid.get(..entry.len()).is_some_and(|head| head.eq_ignore_ascii_case(entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Gpu, GpuPart};

    const FIRST: &str = "GPU-3f2a0b1c-0123-4567-89ab-cdef01234567";
    const SECOND: &str = "GPU-4f2a0b1c-0123-4567-89ab-cdef01234567";
    const PART: &str = "MIG-5f2a0b1c-0123-4567-89ab-cdef01234567";

    fn gpu(index: u32, uuid: &str) -> Gpu {
        Gpu { index, uuid: uuid.to_owned(), ..Gpu::default() }
    }

    fn two() -> Gpus {
        Gpus { devices: vec![gpu(0, FIRST), gpu(1, SECOND)], note: None }
    }

    fn of(id: &str, gpus: &Gpus, visible: Option<&str>) -> Result<u32, String> {
        ordinal_in(&id.parse().unwrap(), gpus, visible, Some(BUS_ORDER))
    }

    #[test]
    fn cuda_numbers_match_without_a_filter() {
        assert_eq!(of("1", &two(), None), Ok(1));
        assert_eq!(of(SECOND, &two(), None), Ok(1));
        assert!(of("2", &two(), None).unwrap_err().starts_with("there is no GPU 2: this machine"));
        assert_eq!(of("3", &Gpus::default(), None), Ok(3), "CUDA itself will know");
        assert!(of(FIRST, &Gpus::default(), None).unwrap_err().contains("by its index"));
    }

    #[test]
    fn filter_renumbers_visible_gpus() {
        assert_eq!(of("1", &two(), Some("1")), Ok(0));
        assert_eq!(of("0", &two(), Some("1, 0")), Ok(1));
        assert_eq!(of("1", &two(), Some(&format!("{SECOND},{FIRST}"))), Ok(0));
        assert_eq!(of(FIRST, &two(), Some("GPU-4f2a,GPU-3F2A")), Ok(1));
        assert_eq!(of(SECOND, &two(), Some("1")), Ok(0));
        let hidden = of("0", &two(), Some("1")).unwrap_err();
        assert!(hidden.contains("CUDA_VISIBLE_DEVICES=1 hides GPU 0"), "{hidden}");
        assert!(of("0", &two(), Some("")).is_err());
    }

    #[test]
    fn mig_device_is_chosen_at_start() {
        let part = GpuPart { uuid: PART.to_owned(), ..GpuPart::default() };
        let cut = Gpu { is_mig_enabled: true, parts: vec![part], ..gpu(1, SECOND) };
        let gpus = Gpus { devices: vec![gpu(0, FIRST), cut], note: None };
        assert_eq!(of(PART, &gpus, Some(PART)), Ok(0));
        let restart = of(PART, &gpus, None).unwrap_err();
        assert!(restart.contains(&format!("CUDA_VISIBLE_DEVICES={PART}")), "{restart}");
        assert!(of("0", &gpus, None).unwrap_err().contains("CUDA_VISIBLE_DEVICES=0"));
        assert_eq!(of("0", &gpus, Some("0")), Ok(0));
    }

    #[test]
    fn unknown_cuda_order_is_refused() {
        let own = |gpus: &Gpus| ordinal_in(&GpuId::Index(0), gpus, None, Some("FASTEST_FIRST"));
        assert!(own(&two()).unwrap_err().contains("PCI_BUS_ID"));
        assert_eq!(own(&Gpus { devices: vec![gpu(0, FIRST)], note: None }), Ok(0));
    }
}
