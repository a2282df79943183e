"""What a course project looks like with nothing but the installed package; `test_wheel` runs it in
another folder.
"""

import sys

import torch

from mgff_tutorial import MGFFClassifier, SketchBirds, TwoStageClassifier, ViTCropper, create_model
from mgff_tutorial.datasets.transforms import transforms_for

steps = int(sys.argv[1]) if len(sys.argv) > 1 else None  # None: the whole epoch
torch.manual_seed(0)
model = MGFFClassifier("resnet10t", num_classes=20, img_size=96)
train, test = SketchBirds("train", transforms_for(model, train=True)), SketchBirds("test")
optimizer = torch.optim.AdamW(model.parameter_groups(lr=1e-3))
for step, (images, labels) in enumerate(
    torch.utils.data.DataLoader(train, batch_size=16, shuffle=True)
):
    if step == steps:
        break
    loss = torch.nn.functional.cross_entropy(model(images), labels)
    optimizer.zero_grad(), loss.backward(), optimizer.step()
cropper, birds = ViTCropper(create_model("vit_nano", pretrained=True)), range(0, 600, 600 // 20)
trained = TwoStageClassifier(model, cropper).predict([test[i][0] for i in birds])
embedded = TwoStageClassifier(create_model("mgff_swin_nano", pretrained=True), cropper).predict(
    [test[i][0] for i in birds]
)
right = sum(int(p.argmax()) == test.labels[i] for p, i in zip(embedded.merged, birds))
print(
    f"trained {tuple(trained.merged.shape)}, finite {bool(trained.merged.isfinite().all())}, "
    f"embedded {right} of 20 right"
)
