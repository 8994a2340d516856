"""PyTorch's side of the engine bench: trains one of the models, and answers on stdin/stdout.

Each line `N` on stdin runs N training steps and is answered by one line of JSON: the milliseconds of the fastest and of the mean
step. The line `memory` is answered by the peak resident bytes above those after the import and one product. One thread.
"""
import json, math, resource, sys, time
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(1)
torch.manual_seed(1)


def resident():
    with open('/proc/self/status') as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith('VmHWM'))


# The libraries' own pages are not what training takes: they are in memory once something was computed.
torch.ones(64, 64) @ torch.ones(64, 64)
BARE = resident()


class Block(nn.Module):
    def __init__(self, a, b, stride):
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b)
        self.c2, self.n2 = nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b)
        self.short = nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b)) if stride != 1 or a != b else nn.Identity()

    def forward(self, x):
        return F.relu(self.n2(self.c2(F.relu(self.n1(self.c1(x))))) + self.short(x))


def resnet18():
    layers = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    width = 64
    for out, stride in [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]:
        layers.append(Block(width, out, stride))
        width = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


class Attention(nn.Module):
    def __init__(self, d, h, causal):
        super().__init__()
        self.qkv, self.proj, self.h, self.causal = nn.Linear(d, 3 * d), nn.Linear(d, d), h, causal

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = [y.view(B, T, self.h, C // self.h).transpose(1, 2) for y in self.qkv(x).split(C, 2)]
        a = q @ k.transpose(2, 3) * (1 / math.sqrt(C // self.h))
        if self.causal:
            a = a + torch.full((T, T), float('-inf')).triu(1)
        return self.proj((a.softmax(-1) @ v).transpose(1, 2).reshape(B, T, C))


class Layer(nn.Module):
    def __init__(self, d, h, causal):
        super().__init__()
        self.n1, self.att, self.n2 = nn.LayerNorm(d), Attention(d, h, causal), nn.LayerNorm(d)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x):
        x = x + self.att(self.n1(x))
        return x + self.down(F.gelu(self.up(self.n2(x))))


class Gpt(nn.Module):
    def __init__(self, v, d, h, n, t):
        super().__init__()
        self.tok, self.pos = nn.Embedding(v, d), nn.Parameter(torch.randn(t, d) * 0.02)
        self.layers, self.norm, self.head = nn.Sequential(*[Layer(d, h, True) for _ in range(n)]), nn.LayerNorm(d), nn.Linear(d, v, bias=False)
        nn.init.normal_(self.tok.weight, std=0.02)
        self.head.weight = self.tok.weight

    def forward(self, ids):
        return self.head(self.norm(self.layers(self.tok(ids) + self.pos)))


class Vit(nn.Module):
    def __init__(self, d, h, n, patch, size, classes):
        super().__init__()
        count = (size // patch) ** 2
        self.patch = nn.Conv2d(3, d, patch, patch)
        self.cls, self.pos = nn.Parameter(torch.zeros(1, 1, d)), nn.Parameter(torch.randn(1, count + 1, d) * 0.02)
        self.layers, self.norm, self.head = nn.Sequential(*[Layer(d, h, False) for _ in range(n)]), nn.LayerNorm(d), nn.Linear(d, classes)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        return self.head(self.norm(self.layers(x))[:, 0])


class Lstm(nn.Module):
    def __init__(self, v, e, h):
        super().__init__()
        self.tok, self.rnn, self.head = nn.Embedding(v, e), nn.LSTM(e, h, 2, batch_first=True), nn.Linear(h, v)

    def forward(self, ids):
        return self.head(self.rnn(self.tok(ids))[0])


def mlp():
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))


def cnn():
    return nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10))


# name: model, input, target, AdamW (else Adam)
CASES = {
    'mlp': lambda: (mlp(), torch.rand(128, 784), torch.randint(0, 10, (128,)), False),
    'cnn': lambda: (cnn(), torch.rand(64, 1, 28, 28), torch.randint(0, 10, (64,)), False),
    'gpt': lambda: (Gpt(65, 128, 4, 4, 64), torch.randint(0, 65, (12, 64)), torch.randint(0, 65, (12, 64)), True),
    'resnet18': lambda: (resnet18(), torch.rand(16, 3, 32, 32), torch.randint(0, 10, (16,)), False),
    'lstm': lambda: (Lstm(65, 128, 256), torch.randint(0, 65, (16, 64)), torch.randint(0, 65, (16, 64)), False),
    'vit_tiny': lambda: (Vit(192, 3, 12, 4, 32, 10), torch.rand(16, 3, 32, 32), torch.randint(0, 10, (16,)), True),
}


def main():
    name = sys.argv[1]
    model, x, t, decays = CASES[name]()
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{'params': matrices, 'weight_decay': 0.01 if decays else 0}, {'params': vectors, 'weight_decay': 0}]
    if name == 'resnet18':
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9, weight_decay=5e-4)
    else:
        optimizer = (torch.optim.AdamW if decays else torch.optim.Adam)(groups, lr=1e-3, betas=(0.9, 0.99))
    parameters = sum(p.numel() for p in model.parameters())

    def step():
        y = model(x)
        loss = F.cross_entropy(y.reshape(-1, y.shape[-1]), t.reshape(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    print(json.dumps({'parameters': parameters, 'version': torch.__version__}), flush=True)
    for line in sys.stdin:
        if line.strip() == 'memory':
            print(json.dumps({'bytes': resident() - BARE}), flush=True)
            continue
        times = []
        for _ in range(int(line)):
            began = time.perf_counter()
            step()
            times.append((time.perf_counter() - began) * 1000)
        print(json.dumps({'best': min(times), 'mean': sum(times) / len(times)}), flush=True)


main()
