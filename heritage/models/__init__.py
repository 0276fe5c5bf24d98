"""The networks: timm's by name, two Vision Transformers of our own, their weights and fine-tuning.

A configuration's ``model`` node names a builder: `heritage.models.backbone.timm_network`,
`heritage.models.vit.vit` or `heritage.models.vit_thesis.vit_thesis`. Each returns an ``nn.Module`` that
keeps the contract of `heritage.models.network`.
"""
