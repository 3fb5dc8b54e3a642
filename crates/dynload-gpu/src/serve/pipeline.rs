//! Kernels as the device has them, and their dispatches.

use super::{
    Ended, buffer,
    kernel::parse,
    scope::{Trouble, scoped},
};
use dynload_sandbox::gpu::{Binding, BindingKind, Dispatch, KernelInfo};
use std::{borrow::Cow, collections::VecDeque, num::NonZeroU64};
use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor,
    BindGroupLayoutEntry, BindingResource, BindingType, Buffer, BufferBinding, BufferBindingType,
    CommandBuffer, ComputePassDescriptor, ComputePipeline, ComputePipelineDescriptor, Device,
    PipelineLayoutDescriptor, ShaderModuleDescriptor, ShaderSource, ShaderStages,
};

/// A compiled kernel.
pub(super) struct Kernel {
    pipeline: ComputePipeline,
    layout: BindGroupLayout,
    /// What the last dispatches have bound, the last one first.
    bound: VecDeque<(Vec<Binding>, BindGroup)>,
}

/// The number of bind groups of a kernel that are kept.
const BOUND: usize = 4;

impl Kernel {
    pub(super) fn new(
        device: &Device,
        source: &str,
        entry_point: &str,
    ) -> Result<(Kernel, KernelInfo), Trouble> {
        let (module, info) = parse(source, entry_point).map_err(Trouble::Invalid)?;
        let entries: Vec<BindGroupLayoutEntry> = info
            .bindings
            .iter()
            .map(|binding| BindGroupLayoutEntry {
                binding: binding.binding,
                visibility: ShaderStages::COMPUTE,
                ty: BindingType::Buffer {
                    ty: match binding.kind {
                        BindingKind::Uniform => BufferBindingType::Uniform,
                        BindingKind::ReadOnlyStorage => BufferBindingType::Storage { read_only: true },
                        BindingKind::Storage => BufferBindingType::Storage { read_only: false },
                    },
                    has_dynamic_offset: false,
                    min_binding_size: NonZeroU64::new(binding.min_size),
                },
                count: None,
            })
            .collect();
        let kernel = scoped(device, || {
            let module = device.create_shader_module(ShaderModuleDescriptor {
                label: None,
                source: ShaderSource::Naga(Cow::Owned(module)),
            });
            let layout = device.create_bind_group_layout(&BindGroupLayoutDescriptor {
                label: None,
                entries: &entries,
            });
            let pipeline_layout = device.create_pipeline_layout(&PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
            let pipeline = device.create_compute_pipeline(&ComputePipelineDescriptor {
                label: None,
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(entry_point),
                compilation_options: Default::default(),
                cache: None,
            });
            Kernel {
                pipeline,
                layout,
                bound: VecDeque::new(),
            }
        })?;
        Ok((kernel, info))
    }

    /// Returns a bind group with the bindings: the one of an earlier dispatch if it had the same.
    fn bind(
        &mut self,
        device: &Device,
        buffers: &[Option<Buffer>],
        bindings: &[Binding],
    ) -> Result<&BindGroup, Ended> {
        let known = self.bound.iter().position(|(known, _)| known == bindings);
        let bound = match known {
            Some(known) => self.bound.remove(known),
            None => None,
        };
        let bound = match bound {
            Some(bound) => bound,
            None => (bindings.to_vec(), self.bind_group(device, buffers, bindings)?),
        };
        self.bound.truncate(BOUND - 1);
        self.bound.push_front(bound);
        Ok(&self.bound[0].1)
    }

    fn bind_group(
        &self,
        device: &Device,
        buffers: &[Option<Buffer>],
        bindings: &[Binding],
    ) -> Result<BindGroup, Ended> {
        let entry = |binding: &Binding| {
            Ok(BindGroupEntry {
                binding: binding.binding,
                resource: BindingResource::Buffer(BufferBinding {
                    buffer: buffer(buffers, binding.buffer)?,
                    offset: binding.at,
                    size: Some(NonZeroU64::new(binding.size).ok_or(Ended)?),
                }),
            })
        };
        let entries: Vec<BindGroupEntry<'_>> = bindings.iter().map(entry).collect::<Result<_, Ended>>()?;
        Ok(device.create_bind_group(&BindGroupDescriptor {
            label: None,
            layout: &self.layout,
            entries: &entries,
        }))
    }

    /// Releases the buffers that earlier dispatches have bound.
    pub(super) fn forget(&mut self) {
        self.bound.clear();
    }
}

/// Encodes dispatches. Each sees what the earlier ones wrote.
pub(super) fn encode(
    device: &Device,
    buffers: &[Option<Buffer>],
    kernels: &mut [Option<Kernel>],
    dispatches: &[Dispatch],
) -> Result<CommandBuffer, Ended> {
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
    for dispatch in dispatches {
        let kernel = kernels.get_mut(dispatch.kernel as usize).ok_or(Ended)?;
        let kernel = kernel.as_mut().ok_or(Ended)?;
        pass.set_pipeline(&kernel.pipeline);
        pass.set_bind_group(0, kernel.bind(device, buffers, &dispatch.bindings)?, &[]);
        let [x, y, z] = dispatch.workgroups;
        pass.dispatch_workgroups(x, y, z);
    }
    drop(pass);
    Ok(encoder.finish())
}
