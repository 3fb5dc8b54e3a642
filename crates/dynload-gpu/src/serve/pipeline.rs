//! Kernels as the device has them, and their dispatches.

use super::{
    Ended, Server,
    kernel::parse,
    scope::{Trouble, scoped},
};
use dynload_sandbox::gpu::{BindingKind, Dispatch, KernelInfo};
use std::{borrow::Cow, num::NonZeroU64};
use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor,
    BindGroupLayoutEntry, BindingResource, BindingType, BufferBinding, BufferBindingType, CommandBuffer,
    ComputePassDescriptor, ComputePipeline, ComputePipelineDescriptor, Device, PipelineLayoutDescriptor,
    ShaderModuleDescriptor, ShaderSource, ShaderStages,
};

/// A compiled kernel.
pub(super) struct Kernel {
    pipeline: ComputePipeline,
    layout: BindGroupLayout,
}

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
            Kernel { pipeline, layout }
        })?;
        Ok((kernel, info))
    }
}

impl Server {
    /// Encodes dispatches. Each sees what the earlier ones wrote.
    pub(super) fn encode(&self, dispatches: &[Dispatch]) -> Result<CommandBuffer, Ended> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
        for dispatch in dispatches {
            let kernel = self.kernels.get(dispatch.kernel as usize).ok_or(Ended)?;
            let kernel = kernel.as_ref().ok_or(Ended)?;
            pass.set_pipeline(&kernel.pipeline);
            pass.set_bind_group(0, &self.bind_group(kernel, dispatch)?, &[]);
            let [x, y, z] = dispatch.workgroups;
            pass.dispatch_workgroups(x, y, z);
        }
        drop(pass);
        Ok(encoder.finish())
    }

    fn bind_group(&self, kernel: &Kernel, dispatch: &Dispatch) -> Result<BindGroup, Ended> {
        let entries: Vec<BindGroupEntry<'_>> = dispatch
            .bindings
            .iter()
            .map(|binding| {
                Ok(BindGroupEntry {
                    binding: binding.binding,
                    resource: BindingResource::Buffer(BufferBinding {
                        buffer: self.buffer(binding.buffer)?,
                        offset: binding.at,
                        size: Some(NonZeroU64::new(binding.size).ok_or(Ended)?),
                    }),
                })
            })
            .collect::<Result<_, Ended>>()?;
        Ok(self.device.create_bind_group(&BindGroupDescriptor {
            label: None,
            layout: &kernel.layout,
            entries: &entries,
        }))
    }
}
