//! ONNX files made by hand, from the definition of their messages.

/// A message of protocol buffers.
#[derive(Clone, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    pub(crate) fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    pub(crate) fn int(self, number: u64, value: i64) -> Self {
        self.varint(number << 3).varint(value as u64)
    }

    pub(crate) fn float(self, number: u64, value: f32) -> Self {
        let mut message = self.varint(number << 3 | 5);
        message.0.extend(value.to_le_bytes());
        message
    }

    pub(crate) fn bytes(self, number: u64, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let mut message = self.varint(number << 3 | 2).varint(bytes.len() as u64);
        message.0.extend(bytes);
        message
    }

    pub(crate) fn message(self, number: u64, inner: Self) -> Self {
        self.bytes(number, inner.0)
    }
}

/// A graph from `x` to `y`, of `f64` unless a tensor says otherwise.
#[derive(Clone)]
pub(crate) struct Graph {
    pub(crate) message: Message,
    pub(crate) opset: i64,
    /// The last value so far.
    pub(crate) end: String,
    nodes: usize,
}

impl Graph {
    /// With examples of these sizes.
    pub(crate) fn new(sizes: &[i64]) -> Self {
        let mut graph = Self::of_input(Message::default());
        graph.message = graph.message.message(11, input("x", 11, sizes));
        graph
    }

    /// With fields of a graph, such as an input.
    pub(crate) fn of_input(message: Message) -> Self {
        Self {
            message,
            opset: 17,
            end: "x".into(),
            nodes: 0,
        }
    }

    /// Adds a tensor.
    pub(crate) fn tensor(mut self, name: &str, dims: &[i64], numbers: &[f64]) -> Self {
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        let tensor = tensor(name, dims, 11).bytes(9, bytes);
        self.message = self.message.message(5, tensor);
        self
    }

    /// Adds a tensor of integers.
    pub(crate) fn ints(mut self, name: &str, numbers: &[i64]) -> Self {
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        let tensor = tensor(name, &[numbers.len() as i64], 7).bytes(9, bytes);
        self.message = self.message.message(5, tensor);
        self
    }

    /// Adds a field of the graph.
    pub(crate) fn field(mut self, number: u64, message: Message) -> Self {
        self.message = self.message.message(number, message);
        self
    }

    /// Adds a node that reads these values: `_` stands for the last one.
    pub(crate) fn node(self, operator: &str, inputs: &[&str], attributes: Vec<Message>) -> Self {
        let end = format!("v{}", self.nodes + 1);
        self.named_node(operator, inputs, &end, attributes)
    }

    /// Adds a node with this output.
    pub(crate) fn named_node(
        mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: Vec<Message>,
    ) -> Self {
        self.nodes += 1;
        let mut node = Message::default();
        for input in inputs {
            let input = if *input == "_" { &*self.end } else { *input };
            node = node.bytes(1, input);
        }
        let (domain, operator) = operator.rsplit_once(':').unwrap_or(("", operator));
        node = node
            .bytes(2, output)
            .bytes(3, format!("node {}", self.nodes));
        node = node.bytes(4, operator).bytes(7, domain);
        for attribute in attributes {
            node = node.message(5, attribute);
        }
        self.message = self.message.message(1, node);
        self.end = output.to_owned();
        self
    }

    /// Returns the file, whose output is the last value.
    pub(crate) fn file(self) -> Vec<u8> {
        let end = self.end.clone();
        self.file_of(&[(&end, 11)])
    }

    /// Returns the file with these outputs, and their types.
    pub(crate) fn file_of(self, outputs: &[(&str, i64)]) -> Vec<u8> {
        let mut graph = self.message;
        for &(name, kind) in outputs {
            graph = graph.message(12, input(name, kind, &[]));
        }
        model(graph, self.opset).0
    }
}

pub(crate) fn model(graph: Message, opset: i64) -> Message {
    let opset = Message::default().bytes(1, "").int(2, opset);
    Message::default()
        .int(1, 8)
        .message(7, graph)
        .message(8, opset)
}

/// An input or an output, whose first axis has no fixed size.
pub(crate) fn input(name: &str, kind: i64, sizes: &[i64]) -> Message {
    let batch = Message::default().bytes(2, "N");
    let mut dims = Message::default().message(1, batch);
    for &size in sizes {
        dims = dims.message(1, Message::default().int(1, size));
    }
    let tensor = Message::default().int(1, kind).message(2, dims);
    let kind = Message::default().message(1, tensor);
    Message::default().bytes(1, name).message(2, kind)
}

/// A tensor without entries.
pub(crate) fn tensor(name: &str, dims: &[i64], kind: i64) -> Message {
    let tensor = dims
        .iter()
        .fold(Message::default(), |tensor, &dim| tensor.int(1, dim));
    tensor.int(2, kind).bytes(8, name)
}

pub(crate) fn int(name: &str, value: i64) -> Message {
    Message::default().bytes(1, name).int(3, value).int(20, 2)
}

pub(crate) fn float(name: &str, value: f32) -> Message {
    Message::default().bytes(1, name).float(2, value).int(20, 1)
}

pub(crate) fn ints(name: &str, values: &[i64]) -> Message {
    let attribute = Message::default().bytes(1, name).int(20, 7);
    values
        .iter()
        .fold(attribute, |attribute, &value| attribute.int(8, value))
}

pub(crate) fn text(name: &str, value: &str) -> Message {
    Message::default().bytes(1, name).bytes(4, value).int(20, 3)
}
