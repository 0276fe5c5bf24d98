"""Networks: any of timm's, two Vision Transformers, their pretrained weights and fine-tuning.

``conf/model/<name>.yaml`` names a builder: `heritage.models.backbone.timm_network`,
`heritage.models.vit_sizes.vit` or `heritage.models.vit_thesis.vit_thesis`. Each returns an ``nn.Module``
that keeps the contract of `heritage.models.network`.
"""

from heritage.models.builders import register_network

__all__ = ["register_network"]
