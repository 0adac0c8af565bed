//! Literals.

use sqlparser::ast::Value as Literal;

use super::super::error::{Result, syntax};
use super::super::values::convert::Target;
use super::super::values::{binary, decimal, numeric};
use super::{Binder, Bound};
use crate::value::{SqlError, SqlType, Value};

impl Binder<'_> {
    /// `{d …}` and its kin.
    pub fn odbc_literal(&mut self, typed: &sqlparser::ast::TypedString) -> Result<Bound> {
        let Literal::SingleQuotedString(text) = &typed.value.value else { return Err(syntax("{")) };
        let text = text.clone();
        let inner = self.constant(&Value::Text(text), SqlType::VarChar(Some(30)));
        Ok(self.convert(inner, Target::of(SqlType::DateTime), false))
    }

    /// A literal.
    pub fn literal(&mut self, value: &Literal) -> Result<Bound> {
        match value {
            Literal::Null => {
                let mut bound = Bound::new("NULL", SqlType::Int);
                bound.null = true;
                Ok(bound)
            }
            // sqlparser takes a money constant for a placeholder.
            Literal::Number(text, false) | Literal::Placeholder(text) => self.number(text),
            Literal::SingleQuotedString(text) => {
                let length = super::super::values::text::length(text, SqlType::VarChar(None), false);
                let ty = SqlType::VarChar(u16::try_from(length.max(1)).ok().filter(|n| *n <= 8000));
                let text = super::super::values::text::to_code_page(text);
                Ok(self.constant(&Value::Text(text), ty))
            }
            Literal::NationalStringLiteral(text) => {
                let length = text.encode_utf16().count().max(1);
                let ty = SqlType::NVarChar(u16::try_from(length).ok().filter(|n| *n <= 4000));
                Ok(self.constant(&Value::Text(text.clone()), ty))
            }
            Literal::HexStringLiteral(text) => {
                let bytes = binary::unhex(text).ok_or_else(|| syntax(format!("0x{text}")))?;
                let ty = SqlType::VarBinary(u16::try_from(bytes.len().max(1)).ok().filter(|n| *n <= 8000));
                Ok(self.constant(&Value::Bytes(bytes), ty))
            }
            other => Err(syntax(other.to_string())),
        }
    }

    fn number(&mut self, text: &str) -> Result<Bound> {
        if let Some(money) = text.strip_prefix('$') {
            let value = numeric::parse_money(money).ok_or_else(|| syntax(text))?;
            return Ok(self.constant(&Value::Money(value), SqlType::Money));
        }
        if text.contains(['e', 'E']) {
            let value: f64 = text.parse().map_err(|_| syntax(text))?;
            return Ok(self.constant(&Value::Float(value), SqlType::Float));
        }
        if !text.contains('.')
            && let Ok(int) = text.parse::<i32>()
        {
            let mut bound = self.constant(&Value::Int(i64::from(int)), SqlType::Int);
            bound.literal = Some(i64::from(int));
            return Ok(bound);
        }
        let (value, scale) = decimal::parse(text).ok_or_else(|| {
            SqlError::new(
                1007,
                format!("The number '{text}' is out of the range for numeric representation (maximum precision 38)."),
            )
            .severity(15)
        })?;
        let (precision, _) = decimal::literal_facets(text);
        Ok(self.constant(&Value::Decimal(value, scale), SqlType::Numeric { precision: precision.max(scale), scale }))
    }
}
