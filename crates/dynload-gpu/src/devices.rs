//! The devices of this machine, as wgpu finds them.

use crate::{
    protocol::{MAX_DEVICES, MAX_NAME_BYTES, cut},
    serve::{Ended, now},
};
use dynload_caps::GpuKind;
use dynload_sandbox::gpu::Device;
use wgpu::{
    Adapter, AdapterInfo, Backends, DeviceDescriptor, DeviceType, DownlevelFlags, Instance,
    InstanceDescriptor, InstanceFlags, Limits, Queue,
};

/// A device that can be opened.
pub(crate) struct Found {
    pub(crate) device: Device,
    adapter: Adapter,
}

/// Returns the devices that have everything that WebGPU guarantees for compute shaders.
pub(crate) fn find() -> Vec<Found> {
    let instance = Instance::new(InstanceDescriptor {
        backends: Backends::PRIMARY,
        flags: InstanceFlags::empty(),
        ..InstanceDescriptor::new_without_display_handle()
    });
    now(instance.enumerate_adapters(Backends::PRIMARY))
        .into_iter()
        .filter(is_sufficient)
        .map(|adapter| Found {
            device: describe(&adapter.get_info()),
            adapter,
        })
        .take(MAX_DEVICES)
        .collect()
}

fn is_sufficient(adapter: &Adapter) -> bool {
    let downlevel = adapter.get_downlevel_capabilities();
    Limits::default().check_limits(&adapter.limits())
        && downlevel.flags.contains(DownlevelFlags::COMPUTE_SHADERS)
}

/// Describes a device to the sandbox.
pub(crate) fn describe(info: &AdapterInfo) -> Device {
    Device {
        kind: match info.device_type {
            DeviceType::Cpu => GpuKind::Cpu,
            DeviceType::IntegratedGpu => GpuKind::Integrated,
            DeviceType::DiscreteGpu => GpuKind::Discrete,
            DeviceType::VirtualGpu => GpuKind::Virtual,
            DeviceType::Other => GpuKind::Other,
        },
        name: cut(&info.name, MAX_NAME_BYTES).to_owned(),
    }
}

impl Found {
    /// Opens the device with the limits of WebGPU and without optional features, so that all devices behave alike.
    pub(crate) fn open(&self) -> Result<(wgpu::Device, Queue), Ended> {
        let descriptor = DeviceDescriptor {
            required_limits: Limits::default(),
            ..DeviceDescriptor::default()
        };
        now(self.adapter.request_device(&descriptor)).map_err(|_| Ended)
    }
}
